// progress_display: shows a run on standard error while it lasts.
#pragma once

#include "orchestrator/display/progress.hpp"
#include "orchestrator/display/terminal.hpp"

#include <chrono>
#include <string_view>

namespace parallel_loader {

class ProgressDisplay {
public:
  /// `report_every`: time between lines in ProgressMode::kLog.
  ProgressDisplay(ProgressMode mode, ProgressStyle style, std::chrono::seconds report_every);
  ProgressDisplay(const ProgressDisplay &) = delete;
  ProgressDisplay &operator=(const ProgressDisplay &) = delete;
  /// Leaves the cursor at the start of an empty line.
  ~ProgressDisplay();

  void begin(const Run &run);
  /// Shows `run` if it is time to: at most ten times a second as a bar.
  void update(const Run &run);
  /// Writes a line of its own, shown in every mode.
  void note(std::string_view text);
  /// Shows `run` for the last time.
  void end(const Run &run);

private:
  using Clock = std::chrono::steady_clock;

  void show(const Run &run);
  void end_line();

  ProgressMode mode_;
  ProgressStyle style_;
  Clock::duration period_;
  Clock::time_point shown_at_;
  bool is_line_open_ = false; // the bar's line has no end yet
};

} // namespace parallel_loader
