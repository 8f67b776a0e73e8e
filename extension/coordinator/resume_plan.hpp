// resume_plan: what a resume goes on with: the pull's plan, compared with what is there now, or a
// new one.
#pragma once

#include "core/ledger/ledger.hpp"

#include "extension/bridge/order.hpp"
#include "extension/bridge/source_reader.hpp"

#include <vector>

namespace parallel_loader {

enum class ResumeSnapshot { kSame, kNew };

struct ResumeRequest {
  const Order &order;
  const RecordedPull &recorded;
  const std::vector<ChunkRelation> &relations;
  ResumeSnapshot snapshot = ResumeSnapshot::kSame;
};

/// The order to plan a pull anew by, of which no chunk is done: as its caller gave it.
[[nodiscard]] Order order_of_untouched(const Order &order, const RecordedPull &recorded);

/// The plan of a pull with done chunks, to go on with.  Locks what is left to read.  Under a new
/// snapshot, partitions that are new get chunks of their own.
/// Throws Error 55000 when types, key or relations are not those of the plan: what is done would
/// not fit what is left.
[[nodiscard]] PullPlan plan_rest(const ResumeRequest &request, SourceReader &reader);

} // namespace parallel_loader
