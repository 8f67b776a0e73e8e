// watchdog: measures how fast a pull moves, and finds out what it waits for when it does not.
#pragma once

#include "core/connection/waiter.hpp"

#include "extension/bridge/request.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace parallel_loader {

class Watchdog {
public:
  /// `waiter` waits for the source while it is asked.
  Watchdog(SharedPull *pull, const Request &request, Waiter &waiter)
      : pull_(pull), request_(request), waiter_(waiter) {}

  /// Called at every turn of the coordinator.  Keeps the pull's rate; after ten seconds in which
  /// not a byte came, writes what the workers wait for into the shared memory and, once, to the
  /// server log.
  void look();

private:
  using Clock = std::chrono::steady_clock;

  void measure_rate(int64_t bytes, Clock::time_point now);
  [[nodiscard]] std::string describe_wait();
  [[nodiscard]] std::string describe_sources(const std::vector<int> &backends);

  SharedPull *pull_;
  const Request &request_;
  Waiter &waiter_;
  int64_t last_bytes_ = -1;
  int64_t measured_bytes_ = 0;
  Clock::time_point measured_at_ = Clock::now();
  Clock::time_point moved_at_ = Clock::now();
  Clock::time_point described_at_{};
  bool is_stuck_ = false;
};

} // namespace parallel_loader
