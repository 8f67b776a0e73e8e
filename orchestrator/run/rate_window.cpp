#include "orchestrator/run/rate_window.hpp"

#include <algorithm>

namespace parallel_loader {

double RateWindow::add(std::chrono::milliseconds elapsed, int64_t bytes) {
  constexpr std::chrono::seconds kWindow{10};
  samples_.push_back({elapsed, bytes});
  // One sample older than the window stays, so that the window is always full.
  while (samples_.size() > 2 && elapsed - samples_[1].elapsed >= kWindow)
    samples_.pop_front();
  const Sample &oldest = samples_.front();
  const auto span_ms = static_cast<double>((elapsed - oldest.elapsed).count());
  if (span_ms <= 0)
    return 0;
  return std::max(0.0, static_cast<double>(bytes - oldest.bytes) * 1000.0 / span_ms);
}

void RunRates::note(RunView &run, std::chrono::milliseconds elapsed) {
  run.bytes_per_s = all_.add(elapsed, totals_of(run).bytes);
  for (PullView &pull : run.pulls)
    if (pull.state == PullState::kRunning || pull.state == PullState::kPaused)
      pull.bytes_per_s = windows_[pull.pull_id].add(elapsed, pull.bytes);
    else
      windows_.erase(pull.pull_id);
}

} // namespace parallel_loader
