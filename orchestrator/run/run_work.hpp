// run_work: carries a run out: has tables planned and moved, and keeps its view up to date.
#pragma once

#include "orchestrator/run/interrupt.hpp"
#include "orchestrator/run/rate_window.hpp"
#include "orchestrator/run/run_threads.hpp"
#include "orchestrator/run/run_view.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace parallel_loader {

/// Who shows a run while it lasts.
struct RunWatcher {
  std::function<void(const RunView &)> update;
  std::function<void(const std::string &)> note; // a line of its own
};

/// What is to be done for a table of the view.
struct TableWork {
  size_t table = 0; // its index in RunView::pulls
  PlanStep step;
};

struct RunOrders {
  std::vector<TableWork> work = {};
  int session_count = 1;       // 0: nobody but the planner's steps moves rows
  int64_t joined_pull = 0;     // a pull of a run that is under way, to be joined; 0: none
  bool stops_on_error = false; // the first table that fails ends all
};

/// How the work on a run has ended, beside what the view says.
struct RunEnd {
  bool is_interrupted = false;
  bool is_stopped = false;                 // after an error, as it was ordered
  std::vector<Failure> plan_failures = {}; // of steps
  std::vector<Failure> failures = {};      // of sessions
  std::optional<Failure> lost = {};        // the session that watched, with no other to be had
};

class RunWork {
public:
  /// `view` and `interrupt` outlive this.
  RunWork(OpenMover open, const Interrupt &interrupt, RunView &view);

  /// Works until all is moved, an error or an interrupt ends it.  Sessions that still move are
  /// abandoned then, and their pulls wait for others to join them.
  RunEnd carry_out(const RunOrders &orders, const RunWatcher &watcher);

  /// Reads the pulls of the view that have not ended once more.  Throws as Mover's calls do.
  void refresh();
  /// Reads the chunks of all pulls into the view.
  void read_chunks();

  /// The session that watches; it is open after carry_out() unless that says otherwise.
  [[nodiscard]] Mover &mover();

private:
  using Clock = std::chrono::steady_clock;

  void take_outcomes(RunBoard &board, const std::vector<TableWork> &work,
                     std::vector<Failure> &plan_failures);
  void look(const RunWatcher &watcher);
  void settle(const RunWatcher &watcher);
  /// Has `take` know, by the table's view, what the ledger says now of each of these pulls.
  void read_anew(std::span<const int64_t> ids,
                 const std::function<void(PullView &pull, PullView &&now)> &take);
  void read_marks();
  void note_sample();
  void note_wait(const PullView &pull);
  void note_time(PullView &pull) const;
  [[nodiscard]] bool has_failed_table() const;
  [[nodiscard]] std::vector<int64_t> unended_pulls() const;

  OpenMover open_;
  RunView &view_;
  const Interrupt &interrupt_;
  InterruptibleWaiter waiter_;
  std::unique_ptr<Mover> mover_;
  Clock::time_point started_at_ = Clock::now();
  Clock::time_point looks_again_at_{};
  std::chrono::milliseconds looked_at_{0}; // the last time, from the start
  std::chrono::milliseconds between_samples_{1000};
  RunRates rates_;
  std::unordered_map<int64_t, size_t> waits_; // of pulls that wait: the place in the view
  /// By table: the state that it had, as long as its step is not through.
  std::vector<std::optional<PullState>> awaited_;
};

} // namespace parallel_loader
