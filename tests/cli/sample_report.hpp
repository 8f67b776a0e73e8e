// sample_report: a run with all that a report shows.
#pragma once

#include "tests/cli/sample_run.hpp"

namespace parallel_loader::sample {

/// Chunks of equal size, one after the other on each of `workers`, from the table's start to its
/// end.
inline void cut(PullView &pull, int count, int workers, int first_worker) {
  const int64_t from = (*pull.started - at(0)) / std::chrono::milliseconds(1);
  const int64_t to = (*pull.finished - at(0)) / std::chrono::milliseconds(1);
  const int rounds = (count + workers - 1) / workers;
  pull.chunks = count;
  pull.chunks_done = 0;
  for (int index = 0; index < count; ++index) {
    const int64_t start = from + (to - from) * (index / workers) / rounds;
    const int64_t end = from + (to - from) * (index / workers + 1) / rounds - 40;
    const bool is_done = pull.state == PullState::kDone;
    pull.chunks_done += is_done ? 1 : 0;
    pull.chunk_list.push_back({.number = index + 1,
                               .start = index == 0 ? "" : std::to_string(index * 1000),
                               .end = index + 1 == count ? "" : std::to_string((index + 1) * 1000),
                               .state = is_done ? PullState::kDone : PullState::kPlanned,
                               .rows = pull.rows / count,
                               .bytes = pull.bytes / count,
                               .attempts = 1,
                               .route = "heap",
                               .started = at(start),
                               .finished = at(end - (index % 3) * 15),
                               .copied_by = first_worker + index % workers});
  }
}

/// Five tables on four workers in 64 seconds: one has failed, one differs, one was paused, and
/// names are what people make of them.
inline RunView reported() {
  RunView run = empty_run();
  run.sessions = 4;
  run.elapsed = std::chrono::milliseconds(64'200);
  run.pulls.push_back(loaded(12, "sales.orders", 4'120'041, 2200 * kMB, 400, 41'000));
  cut(run.pulls.back(), 24, 2, 1);
  run.pulls.back().chunk_list[5].attempts = 3;
  run.pulls.back().chunk_list[5].error = "connection to the source was lost";
  run.pulls.back().retries = 2;
  run.pulls.back().verify = VerifyView{.mode = Verification::kChecksum,
                                       .matches = true,
                                       .source_rows = 4'120'041,
                                       .local_rows = 4'120'041,
                                       .range_count = 24};
  run.pulls.push_back(loaded(13, "sales.\"order line\"", 9'004'400, 1400 * kMB, 600, 39'000));
  run.pulls.back().table = "archive.order_line";
  cut(run.pulls.back(), 14, 2, 3);
  run.pulls.back().verify = VerifyView{.mode = Verification::kChecksum,
                                       .matches = false,
                                       .source_rows = 9'004'400,
                                       .local_rows = 9'004'399,
                                       .range_count = 14,
                                       .differing_count = 1};
  run.pulls.push_back(
      loaded(14, "public.\"<script>alert('x')</script>\"", 120'000, 300 * kMB, 41'100, 63'000));
  cut(run.pulls.back(), 6, 3, 1);
  run.pulls.push_back(loaded(15, "public.\"a\nb\u202E & \"\"c\"\"\"", 7, 512, 41'200, 41'450));
  cut(run.pulls.back(), 1, 1, 4);
  PullView failed = table(16, "sales.refund", PullState::kFailed, 3 * kMB);
  failed.started = at(41'500);
  failed.finished = at(44'000);
  failed.failure = unique_violation("16");
  run.pulls.push_back(failed);
  for (int second = 0; second <= 64; ++second) {
    const int64_t fast = std::min(second, 40);
    const int64_t slow = std::max(0, second - 40);
    run.samples.push_back({.elapsed = std::chrono::seconds(second),
                           .rows = fast * 328'000 + slow * 5'000,
                           .bytes = (fast * 90 + slow * 12 + (second % 5) * 11) * kMB});
  }
  run.waits = {{.table = "sales.orders",
                .reason = "worker 24921 waits for Lock: relation, blocked by 24870",
                .since = std::chrono::seconds(12),
                .lasted = std::chrono::milliseconds(3400)}};
  run.sequences = {{"sales.orders_id_seq", 4'120'041}};
  run.warnings = {"table \"sales.order line\" has a foreign key to \"sales.orders\""};
  run.options = {{"--jobs", "4"}, {"--verify", "checksum"}, {"--on-error", "continue"}};
  return run;
}

} // namespace parallel_loader::sample
