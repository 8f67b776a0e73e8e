// worker_set: the background workers that a coordinator starts, replaces and sends away.
#pragma once

#include "core/base/retry.hpp"

#include <vector>

#include "extension/server/process/background.hpp"
#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// A chunk whose worker went without a word; `chunk` is 0 when it had none.
struct LostWorker {
  int64_t pull_id = 0;
  int chunk = 0;
  int64_t trouble_ms = 0; // for how long the pull has failed without completing a chunk
};

/// Owns the handles of the processes that it has started, until they have ended.
class WorkerSet {
public:
  WorkerSet(SharedPull *pull, dsm_handle handle) : pull_(pull), handle_(handle) {}

  /// Starts workers until `count` live; returns how many live then.
  int grow_to(int count);
  /// Lets all but `count` workers leave after the chunk that they move.
  void shrink_to(int count);
  /// Finds workers of the pull, whoever started them, that are lost, and frees their slots.  New
  /// ones are started only after a pause that grows.
  std::vector<LostWorker> take_lost();
  /// A chunk was done: the next loss is the first again.
  void note_success() { backoff_.reset(); }

  /// True while no new worker is started because one was lost.
  [[nodiscard]] bool is_resting() const noexcept { return Clock::now() < may_start_from_; }

  [[nodiscard]] int live_count();
  /// Waits, for a while, until the processes are gone, so that their worker slots are free again.
  void wait_for_processes();
  /// Waits until no worker of the pull is left; they are told, and told harder, until they are
  /// gone.
  void clear_away();

private:
  using Clock = std::chrono::steady_clock;
  struct Registered {
    BackgroundWorkerHandle *handle;
    int slot;
  };

  bool start_worker();
  void forget_ended();
  void release_unstarted();

  SharedPull *pull_;
  dsm_handle handle_;
  std::vector<Registered> registered_;
  Backoff backoff_;
  Clock::time_point may_start_from_{};
};

} // namespace parallel_loader
