// pull_planner: from a request to a plan: columns, format, key and chunks of a pull.
#pragma once

#include "core/ledger/ledger.hpp"

#include "extension/bridge/request.hpp"
#include "extension/bridge/source_reader.hpp"

namespace parallel_loader {

/// Plans the pull under the reader's snapshot, which it exports, and locks what it will read.
/// Needs a transaction on the destination.  Throws Error (see core/ for the codes), SourceChanged
/// when the source's table is not as the snapshot shows it, and PgError.
[[nodiscard]] PullPlan plan_pull(const Request &request, SourceReader &reader,
                                 LeafRule leaf_rule = LeafRule::kByLeaf);

/// Says that rows of children are not a table's own.
[[nodiscard]] PlanNotice children_notice(const SourceTable &table);

/// Locks the source's table, without its partitions, checks the right to read the columns, and
/// returns the shape of those columns that `planned` has, or where it is empty of those that
/// travel: see core/source/column_shape.
[[nodiscard]] Shape lock_source(SourceReader &reader, const SourceTable &table, const Types &types,
                                const ColumnMap &columns, const Key &key, const Shape &planned);

} // namespace parallel_loader
