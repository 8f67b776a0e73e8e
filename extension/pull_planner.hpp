// pull_planner: from an order to a plan: columns, format, key and chunks of a pull.
#pragma once

#include "core/ledger.hpp"

#include "extension/order.hpp"
#include "extension/source_reader.hpp"

namespace parallel_loader {

/// Plans the pull under the reader's snapshot, which it exports.
/// Needs a transaction on the destination.  Throws Error (see core/ for the codes) and PgError.
[[nodiscard]] PullPlan plan_pull(const Order &order, SourceReader &reader);

} // namespace parallel_loader
