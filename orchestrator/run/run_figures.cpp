#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace parallel_loader {

using std::chrono::milliseconds;

std::string label_of(const PullView &pull) {
  if (pull.source_table.empty())
    return pull.table;
  return pull.table.empty() || pull.table == pull.source_table
             ? pull.source_table
             : pull.source_table + " -> " + pull.table;
}

// What the extension says to those who call its functions is said here as the program has it.
std::string wait_words(const std::string &reason) {
  constexpr std::string_view kAbandoned = "no session works on the pull, which fails in ";
  if (reason.starts_with("paused;"))
    return "paused";
  if (reason.starts_with(kAbandoned))
    return fmt::format("nobody works on it, for {} more at most",
                       reason.substr(kAbandoned.size(), reason.find(';') - kAbandoned.size()));
  const bool is_thing = reason.starts_with("a ") || reason.starts_with("the ");
  return is_thing ? "waiting for " + reason : reason;
}

Error ending_of(const PullView &pull) {
  if (pull.state == PullState::kCancelled)
    return {"57014", fmt::format("pull {} was cancelled", pull.id)};
  const bool is_read = pull.chunks > 0 && pull.chunks_done == pull.chunks;
  return {"55000", fmt::format("pull {} ended before {}", pull.id,
                               is_read ? "it was noted that all its chunks are done"
                                       : "all its chunks were done")};
}

int64_t total_bytes_of(const PullView &pull) noexcept {
  if (pull.state == PullState::kDone)
    return pull.bytes;
  return pull.estimated_bytes == 0 || pull.is_partial ? 0
                                                      : std::max(pull.estimated_bytes, pull.bytes);
}

int64_t total_bytes_of(const RunView &run) noexcept {
  int64_t total = 0;
  bool is_known = true;
  for (const PullView &pull : run.pulls) {
    total += std::max(total_bytes_of(pull), pull.bytes);
    const bool is_empty = pull.estimated_bytes == 0 && pull.bytes == 0;
    is_known = is_known && (total_bytes_of(pull) > 0 || is_over(pull) || is_empty);
  }
  return is_known ? total : 0;
}

namespace {

constexpr double kNotDone = 0.99;

double ratio(double part, double whole) noexcept {
  return whole <= 0 ? 0 : part / whole;
}

} // namespace

double fraction_of(const PullView &pull) noexcept {
  if (pull.state == PullState::kDone)
    return 1;
  if (pull.chunks <= 0)
    return 0;
  const int open = std::max(0, pull.chunks - pull.chunks_done);
  const double least = ratio(pull.chunks_done, pull.chunks);
  const double most = ratio(pull.chunks_done + std::clamp(pull.workers, 0, open), pull.chunks);
  const double by_bytes =
      ratio(static_cast<double>(pull.bytes), static_cast<double>(total_bytes_of(pull)));
  return std::clamp(std::clamp(by_bytes, least, most), 0.0, kNotDone);
}

double fraction_of(const RunView &run) noexcept {
  const RunTotals totals = totals_of(run);
  if (totals.tables > 0 && totals.done == totals.tables)
    return 1;
  double weight = 0;
  double done = 0;
  for (const PullView &pull : run.pulls) {
    // Of a table that is done, what it was thought to be, too: a share that was reached stays.
    const auto bytes = static_cast<double>(std::max(pull.estimated_bytes, pull.bytes));
    weight += bytes;
    done += bytes * fraction_of(pull);
  }
  if (weight <= 0)
    done = ratio(totals.chunks_done, totals.chunks);
  else
    done /= weight;
  return std::clamp(done, 0.0, kNotDone);
}

int percent_of(double fraction) noexcept {
  return static_cast<int>(fraction * 100.0 + 1e-9);
}

bool is_over(const PullView &pull) noexcept {
  return has_ended(pull.state) || pull.state == PullState::kInterrupted || pull.failure;
}

bool waits_for_turn(const PullView &pull) noexcept {
  return (pull.state == PullState::kPlanned || pull.state == PullState::kPaused) &&
         pull.workers == 0;
}

bool is_unbegun(const PullView &pull) noexcept {
  const auto is_of_class = [&pull](std::string_view sqlclass) {
    return pull.failure->sqlstate.starts_with(sqlclass);
  };
  return pull.pull_id == 0 && (!pull.failure || is_of_class("08") || is_of_class("57P"));
}

bool is_over(const RunView &run) noexcept {
  return std::ranges::all_of(
      run.pulls, [](const PullView &pull) { return is_over(pull); });
}

PullState state_of(const RunView &run) noexcept {
  const auto has = [&run](PullState state) {
    return std::ranges::any_of(run.pulls, [state](const PullView &pull) {
      return (pull.failure && !has_ended(pull.state) && pull.state != PullState::kInterrupted
                  ? PullState::kFailed
                  : pull.state) == state;
    });
  };
  for (const PullState state : {PullState::kRunning, PullState::kPaused, PullState::kInterrupted})
    if (has(state))
      return state;
  if (run.failure && run.failure->sqlstate != "57014")
    return PullState::kFailed;
  for (const PullState state : {PullState::kFailed, PullState::kCancelled, PullState::kPlanned})
    if (has(state))
      return state;
  return run.failure ? PullState::kCancelled : PullState::kDone;
}

namespace {

/// From the first chunk's start to the last one's end.
std::optional<milliseconds> duration_of_chunks(const PullView &pull) noexcept {
  std::optional<WallTime> first;
  std::optional<WallTime> last;
  for (const ChunkView &chunk : pull.chunk_list) {
    if (!chunk.started || !chunk.finished)
      continue;
    first = first ? std::min(*first, *chunk.started) : *chunk.started;
    last = last ? std::max(*last, *chunk.finished) : *chunk.finished;
  }
  if (!first)
    return std::nullopt;
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(*last - *first));
}

} // namespace

std::optional<milliseconds> duration_of(const PullView &pull, const RunView &run) noexcept {
  if (pull.state == PullState::kDone)
    if (const auto duration = duration_of_chunks(pull))
      return duration;
  if (pull.moving_since)
    return pull.moved_for;
  if (!pull.started)
    return std::nullopt;
  const std::optional<WallTime> end = pull.finished ? pull.finished
                                      : run.started ? std::optional(*run.started + run.elapsed)
                                                    : std::nullopt;
  if (!end)
    return std::nullopt;
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(*end - *pull.started));
}

double per_second(int64_t amount, milliseconds duration) noexcept {
  return ratio(static_cast<double>(amount) * 1000.0, static_cast<double>(duration.count()));
}

namespace {

// What a pull had before a resume it has not moved in the time that was seen.
double mean_of(const PullView &pull, const RunView &run, int64_t amount, int64_t before) noexcept {
  const std::optional<milliseconds> duration = duration_of(pull, run);
  if (!duration)
    return 0;
  const bool is_seen = pull.moving_since &&
                       !(pull.state == PullState::kDone && duration_of_chunks(pull).has_value());
  return per_second(amount - (is_seen ? before : 0), *duration);
}

} // namespace

double mean_rate_of(const PullView &pull, const RunView &run) noexcept {
  return mean_of(pull, run, pull.bytes, pull.bytes_before);
}

double mean_row_rate_of(const PullView &pull, const RunView &run) noexcept {
  return mean_of(pull, run, pull.rows, pull.rows_before);
}

namespace {

std::optional<milliseconds> time_for(double bytes, double rate, milliseconds elapsed) noexcept {
  constexpr std::chrono::seconds kTooEarly{3};
  if (elapsed < kTooEarly || bytes <= 0 || rate <= 0)
    return std::nullopt;
  const double seconds = bytes / rate;
  constexpr double kFarthest = 99.0 * 24 * 3600; // a rate close to 0 says nothing
  if (seconds > kFarthest)
    return std::nullopt;
  // Whole seconds: tenths would promise a precision that there is not.
  return std::chrono::seconds(std::max<int64_t>(1, std::llround(seconds)));
}

// Between two chunks it may have no worker for a moment.
bool stands_still(const PullView &pull) noexcept {
  return pull.state != PullState::kRunning || (pull.workers == 0 && !pull.waiting_for.empty());
}

/// Of a part of a table, whose bytes tell nothing: a chunk that moves is taken to be half way.
double fraction_by_chunks(const PullView &pull) noexcept {
  if (pull.chunks <= 0)
    return 0;
  const int moving = std::clamp(pull.workers, 0, std::max(0, pull.chunks - pull.chunks_done));
  return (pull.chunks_done + 0.5 * moving) / pull.chunks;
}

/// How many bytes travel for each that the plan expects; nullopt: no chunk has told yet.
std::optional<double> share_of(double bytes, double expected_bytes) noexcept {
  return expected_bytes > 0 ? std::optional(bytes / expected_bytes) : std::nullopt;
}

std::optional<double> share_of_parts(const RunView &run) noexcept {
  double bytes = 0;
  double expected = 0;
  for (const PullView &pull : run.pulls)
    if (pull.is_partial && pull.chunks_done > 0) {
      bytes += static_cast<double>(pull.bytes);
      expected += static_cast<double>(pull.estimated_bytes) * fraction_by_chunks(pull);
    }
  return share_of(bytes, expected);
}

/// `usual_share`: of the other pulls.  nullopt: cannot be told yet.
std::optional<double> bytes_left(const PullView &pull, std::optional<double> usual_share) noexcept {
  if (is_over(pull))
    return 0;
  if (!pull.is_partial)
    return static_cast<double>(total_bytes_of(pull)) * (1 - fraction_of(pull));
  const auto expected = static_cast<double>(pull.estimated_bytes);
  const double fraction = fraction_by_chunks(pull);
  const std::optional<double> share =
      pull.chunks_done > 0 ? share_of(static_cast<double>(pull.bytes), expected * fraction)
                           : usual_share;
  if (!share)
    return expected > 0 ? std::nullopt : std::optional(0.0);
  return expected * (1 - fraction) * *share;
}

} // namespace

double current_rate(const RunView &run) noexcept {
  return is_over(run) ? 0 : run.bytes_per_s;
}

std::optional<milliseconds> time_left(const PullView &pull, const RunView &run) noexcept {
  if (stands_still(pull))
    return std::nullopt;
  return time_for(bytes_left(pull, share_of_parts(run)).value_or(0), pull.bytes_per_s, run.elapsed);
}

std::optional<milliseconds> time_left(const RunView &run) noexcept {
  const std::optional<double> share = share_of_parts(run);
  double left = 0;
  for (const PullView &pull : run.pulls) {
    const std::optional<double> bytes = bytes_left(pull, share);
    if (!bytes)
      return std::nullopt;
    left += *bytes;
  }
  return std::ranges::all_of(run.pulls, stands_still)
             ? std::nullopt
             : time_for(left, current_rate(run), run.elapsed);
}

} // namespace parallel_loader
