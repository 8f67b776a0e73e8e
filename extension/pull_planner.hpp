// pull_planner: from an order to a plan: looks at both tables, chooses columns, format, key,
// chunks.
#pragma once

#include "core/ledger.hpp"
#include "core/source_table.hpp"
#include "core/types.hpp"

#include "extension/order.hpp"
#include "extension/source_reader.hpp"

namespace parallel_loader {

/// Plans the pull under the reader's snapshot, which it exports.
/// Needs a transaction on the destination.  Throws Error (see core/ for the codes) and PgError.
[[nodiscard]] PullPlan plan_pull(const Order &order, SourceReader &reader);

/// The types of all columns of a source table.
[[nodiscard]] Types load_column_types(Executor &source, const SourceTable &table);

} // namespace parallel_loader
