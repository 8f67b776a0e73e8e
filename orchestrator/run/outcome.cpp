#include "orchestrator/run/outcome.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace parallel_loader {

namespace {

ExitStatus status_before_rows(const PullStatus &pull, ExitStatus status) {
  return pull.chunk_done_count > 0 || pull.row_count > 0 ? ExitStatus::kFailed : status;
}

Failure choose_failure(const PullStatus &pull, std::span<const Failure> failures) {
  const auto named = std::ranges::find_if(
      failures, [&pull](const Failure &failure) { return failure.sqlstate() == pull.sqlstate; });
  const Failure &chosen = named == failures.end() ? failures.front() : *named;
  return {status_before_rows(pull, chosen.status()), chosen};
}

Failure ledger_failure(int64_t pull_id, const PullStatus &pull) {
  const bool is_source_away =
      pull.sqlstate == sqlstate::kCannotConnect || pull.sqlstate == sqlstate::kConnectionLost;
  const ExitStatus status = is_source_away
                                ? status_before_rows(pull, ExitStatus::kSourceUnreachable)
                                : ExitStatus::kFailed;
  if (!pull.error.empty())
    return {status, Error(pull.sqlstate, pull.error)};
  if (pull.state == RunState::kCancelled)
    return {status, Error("57014", fmt::format("pull {} was cancelled", pull_id))};
  return {status,
          Error("55000", fmt::format("pull {} ended before all its chunks were done", pull_id), "",
                "The log of the destination server says why.")};
}

} // namespace

Failure interrupted_failure() {
  return {ExitStatus::kInterrupted, Error("57014", "interrupted by a signal")};
}

std::optional<Failure> judge_pull(int64_t pull_id, const PullStatus &pull,
                                  std::span<const Failure> failures, Asked asked) {
  if (pull.state == RunState::kDone)
    return std::nullopt;
  if (asked == Asked::kToStop)
    return interrupted_failure();
  if (!failures.empty())
    return choose_failure(pull, failures);
  return ledger_failure(pull_id, pull);
}

} // namespace parallel_loader
