// run_threads: the threads of a run: one plans, the others move, each by a session of its own.
#pragma once

#include "orchestrator/run/mover.hpp"
#include "orchestrator/run/run_board.hpp"

#include "core/connection/waiter.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace parallel_loader {

/// Opens a session.  Called by each thread for itself; throws as Mover's calls do.
using OpenMover = std::function<std::unique_ptr<Mover>(Waiter &)>;

/// What the planner does for one table: by a session, it makes a pull whose id it returns.
using PlanStep = std::function<int64_t(Mover &, const TakeNotice &)>;

class RunThreads {
public:
  /// Starts a thread that takes the steps in their order, and `session_count` that move what it has
  /// planned.  After a failure of a server the steps that are left fail likewise.  All borrow
  /// `board`, which outlives this.
  RunThreads(RunBoard &board, OpenMover open, std::vector<PlanStep> steps, int session_count);
  RunThreads(const RunThreads &) = delete;
  RunThreads &operator=(const RunThreads &) = delete;
  /// Stops the threads that still work, and waits until they have left.
  ~RunThreads();

  /// Readable once all have ended.
  [[nodiscard]] int finished_fd() const noexcept { return finished_.fd(); }
  [[nodiscard]] bool is_finished() const noexcept { return finished_.is_raised(); }

private:
  void start(std::function<void()> body);
  void plan(const std::vector<PlanStep> &steps);
  void plan_steps(const std::vector<PlanStep> &steps, size_t &done);
  [[nodiscard]] int count_chunks(Mover &mover, int64_t pull_id);
  void move(int session);

  RunBoard &board_;
  OpenMover open_;
  Wakeup finished_;
  const int session_count_;
  int chunk_count_ = 0; // planned so far; the planner's
  std::atomic<int> running_count_;
  std::vector<std::jthread> threads_; // last: they end before what they use
};

} // namespace parallel_loader
