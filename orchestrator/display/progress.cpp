#include "orchestrator/display/progress.hpp"

#include "orchestrator/base/text.hpp"
#include "orchestrator/display/bar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace parallel_loader {

namespace {

/// What a table takes on disk only estimates what travels; the total rises when it is passed.
int64_t total_bytes(const Run &run) {
  return run.estimated_bytes == 0 ? 0 : std::max(run.estimated_bytes, run.byte_count);
}

int percent(const Run &run) {
  // Rounded down: 100 % is for a run that is done.
  return static_cast<int>(progress_fraction(run) * 100.0);
}

std::string bytes_text(const Run &run) {
  const int64_t total = total_bytes(run);
  return total == 0 || run.state == RunState::kDone ? format_size(run.byte_count)
                                                    : format_size_of(run.byte_count, total);
}

std::optional<std::chrono::milliseconds> time_left(const Run &run) {
  constexpr std::chrono::seconds kTooEarly{3};
  const int64_t left = total_bytes(run) - run.byte_count;
  if (run.elapsed < kTooEarly || left <= 0 || run.rate_bytes_per_s <= 0)
    return std::nullopt;
  const double seconds = static_cast<double>(left) / run.rate_bytes_per_s;
  constexpr double kFarthest = 99.0 * 24 * 3600; // a rate close to 0 says nothing
  if (seconds > kFarthest)
    return std::nullopt;
  // Whole seconds: tenths would promise a precision that there is not.
  return std::chrono::seconds(std::max<int64_t>(1, std::llround(seconds)));
}

/// Of a run that has ended: the time it took.
std::string time_text(const Run &run) {
  if (has_ended(run.state))
    return format_duration(run.elapsed);
  const auto left = time_left(run);
  if (!left)
    return "";
  return *left < std::chrono::seconds(10) ? fmt::format("{}s", left->count() / 1000)
                                          : format_duration(*left);
}

/// Of the last seconds; of a run that has ended: of all of it.
std::string rate_text(const Run &run) {
  return format_rate(has_ended(run.state) ? bytes_per_s(run) : run.rate_bytes_per_s);
}

} // namespace

double progress_fraction(const Run &run) noexcept {
  if (run.state == RunState::kDone)
    return 1;
  constexpr double kNotDone = 0.99;
  if (run.chunk_count <= 0)
    return 0;
  const auto chunks = static_cast<double>(run.chunk_count);
  const int open = std::max(0, run.chunk_count - run.chunk_done_count);
  const double least = run.chunk_done_count / chunks;
  const double most = (run.chunk_done_count + std::clamp(run.session_count, 0, open)) / chunks;
  const int64_t total = total_bytes(run);
  const double by_bytes =
      total == 0 ? 0 : static_cast<double>(run.byte_count) / static_cast<double>(total);
  return std::clamp(std::clamp(by_bytes, least, most), 0.0, kNotDone);
}

std::string progress_header(const Run &run, const ProgressStyle &style) {
  std::string left = "Loading 1 table";
  if (run.estimated_bytes > 0)
    left += ", " + format_size(run.estimated_bytes);
  left += ", " + format_number_of(run.session_count, "job");
  const std::string right = fmt::format("pull {}", run.pull_id);
  const size_t line = std::min<size_t>(style.width, 80) - 1;
  if (left.size() + 2 + right.size() > line)
    return fit_text(left, line);
  return left + pad_left(right, line - left.size());
}

std::string progress_line(const Run &run, const ProgressStyle &style) {
  // The widest texts of each kind, so that nothing moves while numbers grow.
  const std::string right = fmt::format("  {:>3}%", percent(run)) +
                            pad_left(bytes_text(run), 2 + 14) + pad_left(rate_text(run), 2 + 9) +
                            pad_left(time_text(run), 2 + 6);
  // A character in the last column makes some terminals wrap.
  const size_t line = style.width > 1 ? style.width - 1 : 1;
  constexpr size_t kNarrowBar = 10;
  constexpr size_t kWideBar = 40;
  constexpr size_t kSpaces = 4; // two before the name, two after
  if (line < kSpaces + 8 + kNarrowBar + right.size())
    return fit_text(fmt::format("{:>3}%  {}", percent(run), bytes_text(run)), line);
  const size_t left = line - kSpaces - right.size();
  const std::string name = fit_text(run_label(run), left - kNarrowBar);
  const size_t name_width =
      std::max<size_t>(std::min<size_t>(16, left - kNarrowBar), text_width(name));
  const size_t bar_width = std::min(kWideBar, left - name_width);
  return "  " + pad_right(name, name_width) + "  " +
         bar(progress_fraction(run), bar_width, {.glyphs = style.glyphs, .color = style.color}) +
         right;
}

std::string progress_log_line(const Run &run, std::string_view now) {
  std::string line =
      fmt::format("{}  {}  {}%  {}  {} of {} chunks  {}", now, run_label(run), percent(run),
                  bytes_text(run), run.chunk_done_count, run.chunk_count, rate_text(run));
  const std::string time = time_text(run);
  if (time.empty())
    return line;
  return line + (has_ended(run.state) ? "  in " : "  ETA ") + time;
}

} // namespace parallel_loader
