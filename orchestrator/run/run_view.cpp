#include "orchestrator/run/run_view.hpp"

#include <algorithm>

namespace parallel_loader {

FailureView failure_view(const Error &error) {
  return {.sqlstate = error.sqlstate(),
          .message = error.message(),
          .detail = error.detail(),
          .hint = error.hint()};
}

std::optional<FailureView> failure_of(std::span<const CheckItem> items) {
  const auto error =
      std::ranges::find(items, "error", [](const CheckItem &item) { return item.level; });
  if (error == items.end())
    return std::nullopt;
  return FailureView{.message = error->message, .hint = error->hint};
}

RunTotals totals_of(const RunView &run) noexcept {
  RunTotals totals;
  for (const PullView &pull : run.pulls) {
    ++totals.tables;
    if (pull.state == PullState::kDone)
      ++totals.done;
    else if (pull.failure || has_ended(pull.state) || pull.state == PullState::kInterrupted)
      ++totals.failed;
    totals.rows += pull.rows;
    totals.bytes += pull.bytes;
    totals.moved_rows += std::max<int64_t>(0, pull.rows - pull.rows_before);
    totals.moved_bytes += std::max<int64_t>(0, pull.bytes - pull.bytes_before);
    totals.estimated_bytes += pull.estimated_bytes;
    totals.chunks += pull.chunks;
    totals.chunks_done += pull.chunks_done;
    totals.retries += pull.retries;
  }
  return totals;
}

} // namespace parallel_loader
