// old_plan: what version 0.3 did not record of a plan, found anew under the plan's own snapshot.
#pragma once

#include "core/ledger/ledger.hpp"
#include "core/source/source_table.hpp"

#include <vector>

namespace parallel_loader {

/// The relations that chunks are read from, with the OIDs that their names have under the snapshot.
/// Throws Error 55000 where one has none.
[[nodiscard]] std::vector<ChunkRelation>
find_old_relations(Executor &source, const std::vector<ChunkRelation> &relations,
                   const SourceTable &table);

/// Throws Error 55000 unless the columns can travel in the plan's format between the tables as they
/// are: what was altered here since cannot be told otherwise.
void require_old_columns(int64_t pull_id, uint32_t local_table, const PullPlan &plan,
                         const SourceTable &table, Connection &source);

} // namespace parallel_loader
