#include "orchestrator/display/run_progress.hpp"

#include "orchestrator/base/condition.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/display/bar.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace parallel_loader {

namespace {

using std::chrono::milliseconds;

constexpr size_t kNarrowBar = 10;
constexpr size_t kWideBar = 40;
constexpr size_t kNameWidth = 16;
constexpr size_t kSpaces = 4; // two before the name, two after

/// A character in the last column makes some terminals wrap.
size_t line_width(const ScreenStyle &style) {
  return style.width > 1 ? style.width - 1 : 1;
}

bool moves(const PullView &pull) {
  return !is_over(pull) && pull.state != PullState::kPlanned;
}

/// In the order of the selection; those without a worker last.
std::vector<const PullView *> moving_pulls(const RunView &run) {
  std::vector<const PullView *> result;
  for (const PullView &pull : run.pulls)
    if (moves(pull))
      result.push_back(&pull);
  std::stable_partition(result.begin(), result.end(),
                        [](const PullView *pull) { return pull->workers > 0; });
  return result;
}

/// What the columns of a line say, of a table or of all.
struct Row {
  std::string label;
  std::string short_label{}; // where there is no room for the other; empty: that is cut
  double fraction = 0;
  int workers = 0;
  int64_t bytes = 0;
  int64_t total = 0;
  bool is_over = false;
  double rate = 0;
  std::optional<milliseconds> time{}; // left; of what is over: taken
};

Row row_of(const PullView &pull, const RunView &run) {
  Row row{.label = printable(label_of(pull)),
          .fraction = fraction_of(pull),
          .workers = pull.workers,
          .bytes = pull.bytes,
          .total = total_bytes_of(pull),
          .is_over = is_over(pull)};
  row.time = row.is_over ? duration_of(pull, run).value_or(run.elapsed) : time_left(pull, run);
  row.rate = row.is_over ? mean_rate_of(pull, run) : pull.bytes_per_s;
  return row;
}

/// Where there is no room for all.
std::string few_count_words(const RunTotals &totals) {
  return fmt::format("{} of {} done{}", format_count(totals.done), format_count(totals.tables),
                     totals.failed == 0 ? ""
                                        : fmt::format(", {} failed", format_count(totals.failed)));
}

std::string count_words(const RunView &run) {
  const auto counted = [&run](std::string_view word, auto matches) {
    const auto count = std::ranges::count_if(run.pulls, matches);
    return count == 0 ? std::string()
                      : fmt::format(", {} {}", format_count(static_cast<int64_t>(count)), word);
  };
  const auto is_failed = [](const PullView &pull) {
    return pull.failure ? pull.failure->sqlstate != "57014" : pull.state == PullState::kFailed;
  };
  const std::string words =
      counted("done", [](const PullView &pull) { return pull.state == PullState::kDone; }) +
      counted(
          "failed",
          [&](const PullView &pull) { return pull.state != PullState::kDone && is_failed(pull); }) +
      counted("stopped",
              [&](const PullView &pull) {
                return is_over(pull) && pull.state != PullState::kDone && !is_failed(pull);
              }) +
      counted(
          "running",
          [](const PullView &pull) { return moves(pull) && pull.state == PullState::kRunning; }) +
      counted(
          "paused",
          [](const PullView &pull) { return moves(pull) && pull.state == PullState::kPaused; }) +
      counted("waiting", [](const PullView &pull) { return !is_over(pull) && !moves(pull); });
  return words.empty() ? "no table" : words.substr(2);
}

Row total_row(const RunView &run) {
  const RunTotals totals = totals_of(run);
  Row row{.label = count_words(run),
          .short_label = few_count_words(totals),
          .fraction = fraction_of(run),
          .bytes = totals.bytes,
          .total = total_bytes_of(run),
          .is_over = is_over(run)};
  for (const PullView &pull : run.pulls)
    row.workers += is_over(pull) ? 0 : pull.workers;
  row.time = row.is_over ? run.elapsed : time_left(run);
  row.rate = row.is_over ? per_second(totals.moved_bytes, run.elapsed) : current_rate(run);
  return row;
}

std::string bytes_text(const Row &row) {
  return row.total == 0 || row.is_over ? format_size(row.bytes)
                                       : format_size_of(row.bytes, row.total);
}

/// Time left is in whole seconds.
std::string time_text(const Row &row) {
  if (!row.time)
    return "";
  return !row.is_over && *row.time < std::chrono::seconds(10)
             ? fmt::format("{}s", row.time->count() / 1000)
             : format_duration(*row.time);
}

/// The columns of one screen.
class Columns {
public:
  Columns(const RunView &run, const std::vector<const PullView *> &shown, const ScreenStyle &style)
      : style_(style), line_(line_width(style)), is_wide_(line_ >= 100),
        right_width_(2 + 4 + (is_wide_ ? 6 : 0) + 2 + 14 + 2 + 9 + 2 + time_width()) {
    is_narrow_ = line_ < kSpaces + 8 + kNarrowBar + right_width_;
    if (is_narrow_)
      return;
    const size_t left = line_ - kSpaces - right_width_;
    name_width_ = std::min(kNameWidth, left - kNarrowBar);
    const auto make_room = [&](const PullView &pull) {
      name_width_ =
          std::clamp(text_width(printable(label_of(pull))), name_width_, left - kNarrowBar);
    };
    // Also for tables to come, so that names stay where they are; not for thousands, each time.
    constexpr size_t kForeseen = 200;
    for (size_t index = 0; index < std::min(kForeseen, run.pulls.size()); ++index)
      make_room(run.pulls[index]);
    for (const PullView *pull : shown)
      make_room(*pull);
    bar_width_ = std::min(kWideBar, left - name_width_);
  }

  [[nodiscard]] std::string table_line(const Row &row) const {
    if (is_narrow_)
      return narrow_line(row);
    return "  " + pad_right(fit_text(row.label, name_width_), name_width_) + "  " +
           bar(row.fraction, bar_width_, style_) + right_part(row, "");
  }

  [[nodiscard]] std::string total_line(const Row &row) const {
    if (is_narrow_)
      return narrow_line(row);
    const size_t width = name_width_ + 2 + bar_width_;
    return "  " + pad_right(fit_label(row, width), width) +
           right_part(row, is_wide_ && !row.is_over ? "ETA " : "");
  }

  /// Below a table's line, in place of nothing.
  [[nodiscard]] std::string note_line(std::string_view note) const {
    return paint(fit_text("    " + std::string(note), line_), Ink::kDim, style_.color);
  }

private:
  static std::string fit_label(const Row &row, size_t width) {
    const bool is_cut = !row.short_label.empty() && text_width(row.label) > width;
    return fit_text(is_cut ? row.short_label : row.label, width);
  }

  [[nodiscard]] size_t time_width() const { return is_wide_ ? 10 : 6; }

  // The widest texts of each kind, so that nothing moves while numbers grow.
  [[nodiscard]] std::string right_part(const Row &row, std::string_view before_time) const {
    std::string text = fmt::format("  {:>3}%", percent_of(row.fraction));
    if (is_wide_) {
      const std::string_view times = style_.glyphs == Glyphs::kAscii ? "x" : "×";
      text += pad_left(row.workers == 0 ? "" : fmt::format("{}{}", times, row.workers), 6);
    }
    text += pad_left(bytes_text(row), 2 + 14) + pad_left(format_rate(row.rate), 2 + 9);
    const std::string time = time_text(row);
    return time.empty() ? text : text + pad_left(std::string(before_time) + time, 2 + time_width());
  }

  [[nodiscard]] std::string narrow_line(const Row &row) const {
    constexpr size_t kBytes = 2 + 14;
    const std::string head = fmt::format("{:>3}%  ", percent_of(row.fraction));
    if (line_ < head.size() + kNameWidth + kBytes)
      return fit_text(head + fit_label(row, line_ - std::min(line_, head.size())), line_);
    const size_t width = line_ - head.size() - kBytes;
    return head + pad_right(fit_label(row, width), width) + pad_left(bytes_text(row), kBytes);
  }

  ScreenStyle style_;
  size_t line_;
  bool is_wide_;
  size_t right_width_;
  bool is_narrow_ = false;
  size_t name_width_ = 0;
  size_t bar_width_ = 0;
};

std::string note_of(const PullView &pull) {
  std::vector<std::string> words;
  if (pull.retries > 0)
    words.push_back(pull.retries == 1 ? "1 retry"
                                      : fmt::format("{} retries", format_count(pull.retries)));
  if (pull.max_rate_kb > 0)
    words.push_back("at most " + format_rate(static_cast<double>(pull.max_rate_kb) * 1024));
  if (!pull.waiting_for.empty())
    words.push_back(printable(wait_words(pull.waiting_for)));
  else if (pull.state == PullState::kPaused)
    words.emplace_back("paused");
  return fmt::format("{}", fmt::join(words, ", "));
}

void add_table(std::vector<std::string> &lines, const PullView &pull, const RunView &run,
               const Columns &columns) {
  lines.push_back(columns.table_line(row_of(pull, run)));
  if (const std::string note = is_over(pull) ? "" : note_of(pull); !note.empty())
    lines.push_back(columns.note_line(note));
}

size_t line_count(const PullView &pull) {
  return note_of(pull).empty() ? 1 : 2;
}

} // namespace

std::string run_header(const RunView &run, const ScreenStyle &style) {
  std::string left = "Loading " + format_number_of(static_cast<int64_t>(run.pulls.size()), "table");
  if (const RunTotals totals = totals_of(run);
      totals.estimated_bytes > 0 && total_bytes_of(run) > 0)
    left += ", " + format_size(totals.estimated_bytes);
  left += ", " + format_number_of(run.sessions, "job");
  const std::string right = run.id.empty() ? "" : "run " + printable(run.id);
  const size_t line = line_width({.width = std::min<size_t>(style.width, 80)});
  if (left.size() + 2 + text_width(right) > line)
    return fit_text(left, line);
  return right.empty() ? left : left + pad_left(right, line - left.size());
}

std::vector<std::string> run_screen(const RunView &run, const ScreenStyle &style) {
  std::vector<const PullView *> shown = moving_pulls(run);
  std::vector<std::string> lines;
  if (run.pulls.size() == 1) {
    add_table(lines, run.pulls.front(), run, Columns(run, {&run.pulls.front()}, style));
    lines.resize(std::min(lines.size(), std::max<size_t>(style.height, 2) - 1));
    return lines;
  }
  // One line for the cursor, one for the total.
  const size_t room = style.height > 2 ? style.height - 2 : 0;
  size_t needed = 0;
  for (const PullView *pull : shown)
    needed += line_count(*pull);
  size_t left_out = 0;
  while (!shown.empty() && needed + (left_out > 0 ? 1 : 0) > room) {
    needed -= line_count(*shown.back());
    shown.pop_back();
    ++left_out;
  }
  const Columns columns(run, shown, style);
  for (const PullView *pull : shown)
    add_table(lines, *pull, run, columns);
  if (left_out > 0 && lines.size() < room)
    lines.push_back(
        fit_text(fmt::format("  and {} more", format_count(static_cast<int64_t>(left_out))),
                 line_width(style)));
  lines.push_back(columns.total_line(total_row(run)));
  return lines;
}

namespace {

std::string log_line(const Row &row, std::string_view what, std::string_view now) {
  std::string line =
      fmt::format("{}  {}  {}%  {}  {}  {}", now, row.label, percent_of(row.fraction),
                  bytes_text(row), what, format_rate(row.rate));
  const std::string time = time_text(row);
  if (time.empty())
    return line;
  return line + (row.is_over ? "  in " : "  ETA ") + time;
}

std::string chunks_text(int done, int count) {
  return fmt::format("{} of {}", format_count(done), format_number_of(count, "chunk"));
}

} // namespace

std::vector<std::string> run_log_lines(const RunView &run, std::string_view now) {
  constexpr size_t kMost = 10;
  std::vector<std::string> lines;
  std::vector<const PullView *> shown = moving_pulls(run);
  if (run.pulls.size() == 1)
    shown = {&run.pulls.front()};
  for (const PullView *pull : shown) {
    if (lines.size() == kMost)
      break;
    const std::string note = is_over(*pull) ? "" : note_of(*pull);
    lines.push_back(
        log_line(row_of(*pull, run), chunks_text(pull->chunks_done, pull->chunks), now) +
        (note.empty() ? "" : "  (" + note + ")"));
  }
  if (run.pulls.size() == 1)
    return lines;
  const RunTotals totals = totals_of(run);
  lines.push_back(log_line(total_row(run), chunks_text(totals.chunks_done, totals.chunks), now));
  return lines;
}

std::string table_log_line(const PullView &pull, const RunView &run, std::string_view now) {
  const std::string label = printable(label_of(pull));
  if (pull.state != PullState::kDone)
    return fmt::format("{}  {}  {}", now, label,
                       pull.failure ? "failed: " + condition_text(pull.failure->sqlstate)
                                    : std::string(state_name(pull.state)));
  const Row row = row_of(pull, run);
  return fmt::format("{}  {}  done  {}  {}  {}  in {}", now, label,
                     format_number_of(pull.rows, "row"), bytes_text(row), format_rate(row.rate),
                     time_text(row));
}

} // namespace parallel_loader
