#include "orchestrator/run/pull_need.hpp"

#include "orchestrator/base/shell.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace parallel_loader {

PullNeed need_of(const PullView &pull) noexcept {
  if (pull.state == PullState::kDone)
    return PullNeed::kNothing;
  if (!is_over(pull))
    return PullNeed::kJoin;
  if (pull.chunks == 0)
    return PullNeed::kAnew;
  if (pull.coordinator_pid != 0 || pull.chunks_done == pull.chunks)
    return PullNeed::kResume;
  return pull.chunks_done == 0 ? PullNeed::kRenew : PullNeed::kChoice;
}

bool has_key_ranges(const PullView &pull) noexcept {
  return pull.key != "ctid";
}

std::string restart_words(const PullView &pull, const std::string &id) {
  return fmt::format("resume {} --restart --source-on-target {}", id, shell_word(pull.source));
}

namespace {

bool is_to_resume(const PullView &pull) noexcept {
  return is_over(pull) && pull.state != PullState::kDone && pull.kind != "append";
}

/// One that has no plan and was told no columns is for all: whether another one is, too, its list
/// does not say.
bool has_same_columns(const PullView &pull, const PullView &other) {
  if (!pull.columns || !other.columns)
    return !pull.columns && !other.columns;
  std::vector<std::string> columns = *pull.columns;
  std::vector<std::string> others = *other.columns;
  std::ranges::sort(columns);
  std::ranges::sort(others);
  return columns == others;
}

/// One that a crash has ended has no time of its end.
bool began_after(const PullView &pull, const PullView &earlier) {
  return pull.started && (earlier.finished ? *pull.started >= *earlier.finished
                                           : earlier.state == PullState::kInterrupted);
}

/// Calls `look(pull, later)` for each pull that is to be resumed, with the pulls of its table that
/// were recorded after it, the last first.
template <class Look> void look_at_later(const PullList &pulls, Look look) {
  std::map<uint32_t, PullList> later;
  for (auto pull = pulls.rbegin(); pull != pulls.rend(); ++pull) {
    PullList &others = later[(*pull)->table_oid];
    if (is_to_resume(**pull))
      look(**pull, std::as_const(others));
    others.push_back(*pull);
  }
}

} // namespace

bool has_same_rows(const PullView &pull, const PullView &other) {
  return other.source == pull.source && other.source_table == pull.source_table &&
         other.filter == pull.filter && has_same_columns(pull, other) && !pull.has_bounds &&
         !other.has_bounds;
}

OtherPulls find_successors(const PullList &pulls) {
  OtherPulls successors;
  look_at_later(pulls, [&](const PullView &pull, const PullList &others) {
    for (const PullView *const other : others) {
      const bool has_its_place =
          pull.chunks_done == 0 || (other->began_empty == true && began_after(*other, pull));
      if (other->kind != "append" && has_its_place && has_same_rows(pull, *other)) {
        successors[pull.pull_id] = other->pull_id;
        return;
      }
      if (other->began_empty == true) // what came before is gone
        return;
    }
  });
  return successors;
}

OtherPulls find_later_loaders(const PullList &pulls) {
  const OtherPulls successors = find_successors(pulls);
  OtherPulls loaders;
  look_at_later(pulls, [&](const PullView &pull, const PullList &others) {
    if (successors.contains(pull.pull_id))
      return;
    const auto found = std::ranges::find_if(others, [&](const PullView *other) {
      const bool matters = pull.chunks_done == 0 || other->began_empty == true;
      return matters && other->run_id != pull.run_id && began_after(*other, pull) &&
             (other->chunks_done > 0 || (other->kind == "append" && other->rows > 0));
    });
    if (found != others.end())
      loaders[pull.pull_id] = (*found)->pull_id;
  });
  return loaders;
}

} // namespace parallel_loader
