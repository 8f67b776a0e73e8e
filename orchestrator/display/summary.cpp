#include "orchestrator/display/summary.hpp"

#include "orchestrator/base/condition.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace parallel_loader {

namespace {

using std::chrono::milliseconds;

bool is_cancel(const std::optional<FailureView> &failure) {
  return failure && failure->sqlstate == "57014";
}

bool is_loaded(const PullView &pull) {
  return pull.state == PullState::kDone && !(pull.verify && !pull.verify->matches);
}

/// What a reader wants to know of the state; the ledger's words stay in the JSON document.
std::string state_text(const PullView &pull, Color color) {
  if (pull.state == PullState::kDone) {
    if (pull.verify && !pull.verify->matches)
      return paint("differs from the source", Ink::kRed, color);
    return paint(pull.verify ? "loaded, verified" : "loaded", Ink::kGreen, color);
  }
  if (pull.failure && !is_cancel(pull.failure))
    return paint("failed: " + condition_text(pull.failure->sqlstate), Ink::kRed, color);
  if (pull.state == PullState::kPlanned)
    return paint(pull.failure ? "cancelled" : "not begun", Ink::kYellow, color);
  return paint(state_name(pull.state), pull.state == PullState::kFailed ? Ink::kRed : Ink::kYellow,
               color);
}

/// One line of the table; the widths hold numbers of any size that fits a disk.
class Lines {
public:
  explicit Lines(size_t name_width) : name_width_(name_width) {}

  [[nodiscard]] std::string row(std::string_view name, std::string_view rows, std::string_view size,
                                std::string_view time, std::string_view rate,
                                std::string_view state) const {
    return pad_right(fit_text(name, name_width_), name_width_) + pad_left(rows, 16) +
           pad_left(size, 11) + pad_left(time, 10) + pad_left(rate, 11) + "   " +
           std::string(state) + "\n";
  }

  [[nodiscard]] std::string rule() const {
    return std::string(name_width_ + 16 + 11 + 10 + 11 + 3 + 8, '-') + "\n";
  }

private:
  size_t name_width_;
};

struct Selected {
  std::vector<const PullView *> pulls;
  size_t left_out = 0; // which are loaded
};

/// The slowest first, then those that are not loaded, in their order.
Selected select(const RunView &run, Verbosity verbosity) {
  constexpr size_t kFew = 20;
  constexpr size_t kSlowest = 10;
  std::vector<const PullView *> loaded;
  std::vector<const PullView *> others;
  for (const PullView &pull : run.pulls)
    (is_loaded(pull) ? loaded : others).push_back(&pull);
  std::ranges::stable_sort(loaded, std::ranges::greater(), [&run](const PullView *pull) {
    return duration_of(*pull, run).value_or(milliseconds(0));
  });
  Selected selected;
  if (verbosity != Verbosity::kVerbose && run.pulls.size() > kFew && loaded.size() > kSlowest) {
    selected.left_out = loaded.size() - kSlowest;
    loaded.resize(kSlowest);
  }
  selected.pulls = std::move(loaded);
  selected.pulls.insert(selected.pulls.end(), others.begin(), others.end());
  return selected;
}

std::string table_row(const Lines &lines, const PullView &pull, const RunView &run, Color color) {
  const std::optional<milliseconds> time = duration_of(pull, run);
  const auto shown = [&pull](std::string_view number) { return pull.is_known ? number : "?"; };
  return lines.row(printable(label_of(pull)), shown(format_count(pull.rows)),
                   shown(format_size(pull.bytes)), time ? format_duration(*time) : "-",
                   time ? shown(format_rate(mean_rate_of(pull, run))) : "-",
                   state_text(pull, color));
}

std::string total_words(const RunView &run) {
  const auto count = [&run](auto matches) { return std::ranges::count_if(run.pulls, matches); };
  const auto loaded = count([](const PullView &pull) { return pull.state == PullState::kDone; });
  const auto differing = count([](const PullView &pull) {
    return pull.state == PullState::kDone && pull.verify && !pull.verify->matches;
  });
  const auto failed = count([](const PullView &pull) {
    return pull.state != PullState::kDone &&
           (pull.state == PullState::kFailed || (pull.failure && !is_cancel(pull.failure)));
  });
  const auto others = static_cast<int64_t>(run.pulls.size()) - loaded - failed;
  std::string words = format_count(loaded) + " loaded";
  if (differing > 0)
    words +=
        fmt::format(" ({} {})", format_count(differing), differing == 1 ? "differs" : "differ");
  if (failed > 0)
    words += fmt::format(", {} failed", format_count(failed));
  if (others > 0)
    words += fmt::format(", {} not finished", format_count(others));
  return words;
}

} // namespace

std::string summary_text(const RunView &run, const MessageStyle &style) {
  if (style.verbosity == Verbosity::kQuiet || run.pulls.empty())
    return "";
  constexpr size_t kNarrowest = 16;
  constexpr size_t kWidest = 60;
  const Selected selected = select(run, style.verbosity);
  size_t width = kNarrowest;
  for (const PullView *pull : selected.pulls)
    width = std::clamp(text_width(printable(label_of(*pull))), width, kWidest);
  const Lines lines(width);
  std::string text = lines.row("table", "rows", "size", "time", "rate", "state");
  for (const PullView *pull : selected.pulls)
    text += table_row(lines, *pull, run, style.color);
  if (run.pulls.size() == 1)
    return text;
  if (selected.left_out > 0)
    text += fmt::format("and {} that took less time; -v shows them\n",
                        format_number_of(static_cast<int64_t>(selected.left_out), "table"));
  const RunTotals totals = totals_of(run);
  return text + lines.rule() +
         lines.row(format_number_of(totals.tables, "table"), format_count(totals.rows),
                   format_size(totals.bytes), format_duration(run.elapsed),
                   format_rate(per_second(totals.moved_bytes, run.elapsed)), total_words(run));
}

namespace {

Error error_of(const FailureView &failure, const std::string &about) {
  return Error(failure.sqlstate, about.empty() ? failure.message : about + ": " + failure.message,
               failure.detail, failure.hint);
}

std::string failure_text(const FailureView &failure, const std::string &about,
                         const MessageStyle &style, bool has_command) {
  Error error = error_of(failure, about);
  if (!has_command && error.hint().find("parallel-loader ") != std::string::npos)
    error = Error(error.sqlstate(), error.message(), error.detail());
  std::string text = error_text(error, style);
  if (has_command && !failure.command.empty())
    text += hint_text((about.empty() ? "Continue with: " : "Continue with this table: ") +
                          failure.command,
                      style);
  return text;
}

} // namespace

std::string failures_text(const RunView &run, const MessageStyle &style, bool has_commands) {
  constexpr size_t kMost = 50;
  std::string text;
  size_t count = 0;
  for (const PullView &pull : run.pulls) {
    const std::string about =
        run.pulls.size() == 1 ? "" : fmt::format("table \"{}\"", label_of(pull));
    if (pull.state == PullState::kDone && !pull.warning.empty())
      text += warning_text(Error("01000", fmt::format("pull {} {}", pull.id, pull.warning), {},
                                 "To append to the table, empty it and pull it again."),
                           style);
    if (!pull.failure)
      continue;
    if (++count <= kMost || style.verbosity == Verbosity::kVerbose)
      text += failure_text(*pull.failure, about, style, has_commands);
  }
  if (count > kMost && style.verbosity != Verbosity::kVerbose)
    text += note_text(fmt::format("{} more failed; -v shows each",
                                  format_count(static_cast<int64_t>(count - kMost))));
  if (run.failure)
    text += failure_text(*run.failure, "", style, has_commands);
  return text;
}

std::string command_tag(const RunView &run) {
  return fmt::format("COPY {}", totals_of(run).rows);
}

} // namespace parallel_loader
