// work_session: a session that joins a pull with workers of its own: parallel_pull_work.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

struct WorkRequest {
  int workers;
  int max_chunks; // 0: no limit
  bool is_of_run; // chunks of any pull of the run
};

struct WorkResult {
  int chunks;
  int64 rows;
  int64 bytes;
  int remaining;
};

/// Starts workers and waits until they are through.  `address` is a source of their own, or empty;
/// it is overwritten once they have it.
/// When the call is cancelled or its session ends, these workers end, and their chunks are free for
/// others.
/// Raises the pull's error, that of their own source, 55006 for the lock trap, 42501 when the
/// pull's owner may not connect. Adds what they did to `result`, but for `remaining`. `pull_id` is
/// the one pull of a run whose chunks they take, 0: of any. Returns false when no slot was free for
/// them within the retry budget.
[[nodiscard]] bool work_session_run(dsm_segment *segment, SharedPull *pull,
                                    const WorkRequest *request, int64 pull_id, char *address,
                                    Size address_size, WorkResult *result);

/// Raises what has ended the pull, or all pulls of its run, if something has.
void work_session_raise_error(SharedPull *pull, int64 pull_id);

/// Raises 57P01: the coordinator of the pull is gone.
[[noreturn]] void work_session_raise_interrupted(int64 pull_id);

/// Waits until a pull has its chunks, or has ended.
void work_session_wait_for_plan(SharedPull *pull);

/// Waits until the coordinator has closed a pull whose last chunk is done.
void work_session_wait_for_end(SharedPull *pull);

} // namespace parallel_loader
