// run_display: shows a run of any number of tables on standard error while it lasts.
#pragma once

#include "orchestrator/display/run_progress.hpp"
#include "orchestrator/display/terminal.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

enum class DisplayMode {
  kLive, // some lines of a terminal, written over
  kLog,  // plain dated lines
  kJson, // a line of JSON a second
  kOff,
};

/// `is_json`: --json-progress.
[[nodiscard]] DisplayMode choose_display(When progress, bool is_json,
                                         const Terminal &terminal) noexcept;

/// The device behind a display; tests have one of their own.
struct Screen {
  std::function<void(std::string_view)> write;
  std::function<size_t()> width;  // now, since windows change
  std::function<size_t()> height; // likewise
  std::function<std::chrono::steady_clock::time_point()> now;
  std::function<WallTime()> date;
};

/// Standard error and the clocks of this machine.
[[nodiscard]] Screen standard_error();

/// Call begin() once, update() as often as there is something new, and end() at last; write every
/// message in between with say(), which keeps a live screen whole.
class RunDisplay {
public:
  /// `report_every`: time between lines of DisplayMode::kLog.
  RunDisplay(DisplayMode mode, ScreenStyle style, std::chrono::seconds report_every,
             Screen screen = standard_error());
  RunDisplay(const RunDisplay &) = delete;
  RunDisplay &operator=(const RunDisplay &) = delete;

  void begin(const RunView &run);
  /// Shows `run` if it is time to: at most ten times a second as a live screen.
  void update(const RunView &run);
  /// Writes whole lines of text, such as those of error_text(), above the live screen; in every
  /// mode.
  void say(std::string_view text);
  /// Shows `run` for the last time and leaves the cursor on an empty line.
  void end(const RunView &run);

private:
  using Clock = std::chrono::steady_clock;

  void show(const RunView &run);
  void draw(const std::vector<std::string> &lines);
  [[nodiscard]] std::string back_to_top(size_t width) const;
  void log_ended(const RunView &run);

  DisplayMode mode_;
  ScreenStyle style_;
  Clock::duration period_;
  Screen screen_;
  Clock::time_point shown_at_;
  std::vector<std::string> drawn_; // on the screen, above the cursor
  std::vector<bool> is_logged_;    // by the place of the table in the run
};

} // namespace parallel_loader
