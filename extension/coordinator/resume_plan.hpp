// resume_plan: what a resume goes on with: the pull's plan, compared with what is there now, or a
// new one.
#pragma once

#include "core/ledger/ledger.hpp"

#include "extension/bridge/request.hpp"
#include "extension/bridge/source_reader.hpp"
#include "extension/coordinator/source_connection.hpp"

#include <vector>

namespace parallel_loader {

/// What a resume is planned from.
struct Resume {
  const Request &request;
  const RecordedPull &recorded;
  const std::vector<ChunkRelation> &relations;
  ResumeSnapshot snapshot = ResumeSnapshot::kSame;
};

/// The request to plan a pull anew by, of which no chunk is done: as its caller gave it.
[[nodiscard]] Request request_of_untouched(const Request &request, const RecordedPull &recorded);

/// The plan of a pull with done chunks, to go on with.  Locks what is left to read.  Under a new
/// snapshot, partitions that are new get chunks of their own.
/// Throws Error 55000 when types, key or relations are not those of the plan: what is done would
/// not fit what is left.
[[nodiscard]] PullPlan plan_rest(const Resume &resume, SourceReader &reader);

} // namespace parallel_loader
