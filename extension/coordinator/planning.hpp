// planning: connects to the source and plans a pull, or what is left of one, once more where
// others' locks or changes are in the way.
#pragma once

#include "core/ledger/ledger.hpp"

#include "extension/bridge/request.hpp"
#include "extension/coordinator/source_connection.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <vector>

namespace parallel_loader {

/// Plans a new pull, on the request's snapshot if it names one.  Locks what will be read, and says
/// in shared memory when it waits for such a lock.  Throws as plan_pull() does once the retry
/// budget is used up.
[[nodiscard]] PullPlan plan_new(SourceConnection &source, SharedPull *pull, const Request &request);

/// Plans one more pull of the run whose snapshot `source` holds, in its session; one attempt.
/// Throws as plan_pull() does; the session can be used again after that, unless it is lost.
[[nodiscard]] PullPlan plan_joined(SourceConnection &source, const Request &request);

/// Plans what is left of `recorded`, on its snapshot where it can be.  A pull of which no chunk is
/// done is planned anew; of others only what is new under a new snapshot.  Returns the plan to go
/// on with, and in it what changes in the chunks.  Throws Error 55000 when the snapshot is lost,
/// when the source is another one or an older state of it, or when what is done would not fit what
/// is left.
[[nodiscard]] PullPlan plan_resumed(SourceConnection &source, SharedPull *pull,
                                    const Request &request, const RecordedPull &recorded,
                                    const std::vector<ChunkRelation> &relations, int done_count);

} // namespace parallel_loader
