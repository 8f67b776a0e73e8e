#include "orchestrator/run/pull_need.hpp"

#include "orchestrator/base/shell.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

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

std::map<int64_t, int64_t> find_successors(const std::vector<PullView> &pulls) {
  std::map<std::string_view, std::vector<const PullView *>> later; // by table, the last first
  std::map<int64_t, int64_t> successors;
  for (auto pull = pulls.rbegin(); pull != pulls.rend(); ++pull) {
    std::vector<const PullView *> &others = later[pull->table];
    const auto found = std::ranges::find_if(
        others, [&](const PullView *other) { return is_replaced_by(*pull, *other); });
    if (found != others.end() && is_over(*pull) && pull->state != PullState::kDone)
      successors[pull->pull_id] = (*found)->pull_id;
    others.push_back(&*pull);
  }
  return successors;
}

} // namespace parallel_loader
