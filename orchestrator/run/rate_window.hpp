// rate_window: the rate of the last ten seconds.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <unordered_map>

namespace parallel_loader {

class RateWindow {
public:
  /// Adds a sample: `bytes` in all at `elapsed` since the start.  Returns bytes per second over the
  /// window, 0 until two samples differ in time.  A count that falls (a chunk that is retried
  /// takes its bytes back) gives no rate below 0.
  double add(std::chrono::milliseconds elapsed, int64_t bytes);

private:
  struct Sample {
    std::chrono::milliseconds elapsed;
    int64_t bytes;
  };
  std::deque<Sample> samples_;
};

/// Those of a run and of its pulls, of each from when it moves.
class RunRates {
public:
  /// Sets RunView::bytes_per_s and PullView::bytes_per_s.
  void note(RunView &run, std::chrono::milliseconds elapsed);

private:
  RateWindow all_;
  std::unordered_map<int64_t, RateWindow> windows_; // by the number of the pull
};

} // namespace parallel_loader
