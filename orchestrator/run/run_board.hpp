// run_board: what the planner of a run, its sessions and whoever watches them tell each other.
#pragma once

#include "orchestrator/base/failure.hpp"
#include "orchestrator/run/wakeup.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// What has become of a table's plan.
struct PlanOutcome {
  size_t table = 0;    // the task's number
  int64_t pull_id = 0; // 0: there is none, and why
  std::optional<Failure> failure = {};
};

/// For any thread.
class RunBoard {
public:
  /// `pull_id`: a pull of a run that is under way already, and how many chunks that has; 0: none.
  explicit RunBoard(int64_t pull_id = 0, int chunk_count = 0)
      : last_pull_id_(pull_id), chunk_count_(chunk_count), version_(pull_id == 0 ? 0 : 1) {}

  // Of the planner.
  void add_pull(size_t table, int64_t pull_id, int chunk_count);
  void add_plan_failure(size_t table, const Failure &failure);
  void end_planning();

  // Of a session.
  /// Waits until there is work for session number `session`, from 0: as many sessions work as there
  /// are chunks.  Returns a pull of the run; nullopt when nothing more will come, or all are to
  /// stop. `seen` is what the session has worked off, 0 at first.
  [[nodiscard]] std::optional<int64_t> await_work(int session, uint64_t &seen);
  /// The same failure of several sessions stands here once.
  void add_failure(const Failure &failure);
  /// Likewise for what a server has told them.
  void add_notice(std::string_view message, std::string_view hint);

  // Of the one who watches.
  [[nodiscard]] std::vector<PlanOutcome> take_outcomes();
  [[nodiscard]] std::vector<std::string> take_notices();
  [[nodiscard]] std::vector<Failure> failures() const;
  /// Tells planner and sessions to leave what they do; their calls are abandoned.
  void stop() noexcept;
  [[nodiscard]] bool is_stopped() const noexcept { return stopped_.is_raised(); }
  /// Readable once all are to stop.
  [[nodiscard]] int stopped_fd() const noexcept { return stopped_.fd(); }

private:
  Wakeup stopped_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int64_t last_pull_id_;
  int chunk_count_;
  uint64_t version_; // grows with each pull
  bool is_planning_ = true;
  std::vector<PlanOutcome> outcomes_; // not taken yet
  std::vector<Failure> failures_;
  std::vector<std::string> notices_; // all there were
  size_t notices_taken_ = 0;         // how many of them were handed out
};

} // namespace parallel_loader
