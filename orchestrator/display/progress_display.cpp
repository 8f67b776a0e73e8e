#include "orchestrator/display/progress_display.hpp"

#include "orchestrator/base/message.hpp"
#include "orchestrator/base/output.hpp"

#include <fmt/chrono.h>

#include <unistd.h>

#include <ctime>
#include <string>

namespace parallel_loader {

namespace {

std::string utc_now() {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(std::time(nullptr)));
}

} // namespace

ProgressDisplay::ProgressDisplay(ProgressMode mode, ProgressStyle style,
                                 std::chrono::seconds report_every)
    : mode_(mode), style_(style),
      period_(mode == ProgressMode::kBar ? Clock::duration(std::chrono::milliseconds(100))
                                         : Clock::duration(report_every)) {}

ProgressDisplay::~ProgressDisplay() {
  end_line();
}

void ProgressDisplay::begin(const Run &run) {
  switch (mode_) {
  case ProgressMode::kOff:
    return;
  case ProgressMode::kBar:
    style_.width = terminal_width(STDERR_FILENO);
    write_message(progress_header(run, style_) + "\n");
    return show(run);
  case ProgressMode::kLog:
    return show(run);
  }
}

void ProgressDisplay::update(const Run &run) {
  if (mode_ != ProgressMode::kOff && Clock::now() - shown_at_ >= period_)
    show(run);
}

void ProgressDisplay::note(std::string_view text) {
  end_line();
  write_message(note_text(text));
}

void ProgressDisplay::end(const Run &run) {
  if (mode_ == ProgressMode::kOff)
    return;
  show(run);
  end_line();
}

void ProgressDisplay::end_line() {
  if (is_line_open_)
    write_message("\n");
  is_line_open_ = false;
}

void ProgressDisplay::show(const Run &run) {
  shown_at_ = Clock::now();
  if (mode_ == ProgressMode::kLog)
    return write_message(progress_log_line(run, utc_now()) + "\n");
  style_.width = terminal_width(STDERR_FILENO);
  // The sequence after the line clears what a longer one has left.
  write_message("\r" + progress_line(run, style_) + "\033[K");
  is_line_open_ = true;
}

} // namespace parallel_loader
