#include "orchestrator/display/run_display.hpp"

#include "orchestrator/base/output.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/report/progress_json.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/chrono.h>

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace parallel_loader {

namespace {

std::chrono::steady_clock::duration period_of(DisplayMode mode, std::chrono::seconds report_every) {
  switch (mode) {
  case DisplayMode::kLive:
    return std::chrono::milliseconds(100);
  case DisplayMode::kJson:
    return std::chrono::seconds(1);
  case DisplayMode::kLog:
  case DisplayMode::kOff:
    break;
  }
  return report_every;
}

std::string date_text(WallTime time) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

/// Without its colours.
size_t shown_width(std::string_view line) {
  std::string text;
  while (!line.empty()) {
    const size_t escape = line.find('\033');
    text += line.substr(0, escape);
    const size_t end = escape == std::string_view::npos ? escape : line.find('m', escape);
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  }
  return text_width(text);
}

/// One that took a moment only is counted, and no more: there may be thousands.
bool is_worth_a_line(const PullView &pull, const RunView &run) {
  constexpr std::chrono::seconds kMoment{1};
  if (pull.state == PullState::kDone)
    return duration_of(pull, run).value_or(run.elapsed) >= kMoment;
  return is_over(pull);
}

} // namespace

DisplayMode choose_display(When progress, bool is_json, const Terminal &terminal) noexcept {
  if (is_json)
    return DisplayMode::kJson;
  switch (choose_progress(progress, terminal)) {
  case ProgressMode::kBar:
    return DisplayMode::kLive;
  case ProgressMode::kLog:
    return DisplayMode::kLog;
  case ProgressMode::kOff:
    break;
  }
  return DisplayMode::kOff;
}

Screen standard_error() {
  return {.write = [](std::string_view text) { write_message(text); },
          .width = [] { return terminal_width(STDERR_FILENO); },
          .height = [] { return terminal_height(STDERR_FILENO); },
          .now = [] { return std::chrono::steady_clock::now(); },
          .date = [] { return std::chrono::system_clock::now(); }};
}

RunDisplay::RunDisplay(DisplayMode mode, ScreenStyle style, std::chrono::seconds report_every,
                       Screen screen)
    : mode_(mode), style_(style), period_(period_of(mode, report_every)),
      screen_(std::move(screen)) {}

void RunDisplay::begin(const RunView &run) {
  if (mode_ == DisplayMode::kLive) {
    style_.width = screen_.width();
    screen_.write(run_header(run, style_) + "\n");
  }
  show(run);
}

void RunDisplay::update(const RunView &run) {
  log_ended(run);
  if (screen_.now() - shown_at_ >= period_)
    show(run);
}

void RunDisplay::say(std::string_view text) {
  if (drawn_.empty())
    return screen_.write(text);
  const std::vector<std::string> lines = drawn_;
  std::string all = back_to_top(screen_.width()) + "\033[J" + std::string(text);
  for (const std::string &line : lines)
    all += line + "\n";
  screen_.write(all);
}

void RunDisplay::end(const RunView &run) {
  log_ended(run);
  show(run);
  drawn_.clear();
}

void RunDisplay::show(const RunView &run) {
  shown_at_ = screen_.now();
  switch (mode_) {
  case DisplayMode::kOff:
    return;
  case DisplayMode::kJson:
    return screen_.write(progress_document(run, screen_.date()) + "\n");
  case DisplayMode::kLog: {
    std::string text;
    for (const std::string &line : run_log_lines(run, date_text(screen_.date())))
      text += line + "\n";
    return screen_.write(text);
  }
  case DisplayMode::kLive:
    style_.width = screen_.width();
    style_.height = screen_.height();
    return draw(run_screen(run, style_));
  }
}

// In one write, so that nobody sees half of it.  Each line is cleared behind its end, and the
// screen below the last one.
void RunDisplay::draw(const std::vector<std::string> &lines) {
  std::string text = back_to_top(style_.width);
  for (const std::string &line : lines)
    text += line + "\033[K\n";
  screen_.write(text + "\033[J");
  drawn_ = lines;
}

// In a window that has become narrower, what was drawn takes more lines now.  The window may also
// have become lower: what has left it at the top cannot be reached any more.
std::string RunDisplay::back_to_top(size_t width) const {
  size_t count = 0;
  for (const std::string &line : drawn_)
    count += std::max<size_t>(1, (shown_width(line) + width - 1) / std::max<size_t>(width, 1));
  count = std::min(count, std::max<size_t>(screen_.height(), 1) - 1);
  return count == 0 ? "\r" : fmt::format("\r\033[{}A", count);
}

void RunDisplay::log_ended(const RunView &run) {
  if (mode_ != DisplayMode::kLog || run.pulls.size() < 2)
    return;
  is_logged_.resize(std::max(is_logged_.size(), run.pulls.size()));
  for (size_t index = 0; index < run.pulls.size(); ++index) {
    const PullView &pull = run.pulls[index];
    if (!is_over(pull) || is_logged_[index])
      continue;
    is_logged_[index] = true;
    if (is_worth_a_line(pull, run))
      screen_.write(table_log_line(pull, run, date_text(screen_.date())) + "\n");
  }
}

} // namespace parallel_loader
