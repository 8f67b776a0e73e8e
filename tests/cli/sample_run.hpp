// sample_run: runs of some tables, for the screens and reports that are tested.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <chrono>
#include <string>
#include <utility>

namespace parallel_loader::sample {

inline constexpr int64_t kMB = 1 << 20;
inline constexpr int64_t kGB = 1 << 30;

/// 2026-01-31 12:00:00 UTC, and so many milliseconds.
inline WallTime at(int64_t milliseconds) {
  return WallTime(std::chrono::seconds(1769860800) + std::chrono::milliseconds(milliseconds));
}

inline PullView table(int id, std::string name, PullState state, int64_t estimated_bytes) {
  return {.id = std::to_string(id),
          .source_table = name,
          .table = std::move(name),
          .state = state,
          .estimated_bytes = estimated_bytes,
          .chunks = static_cast<int>(estimated_bytes / (128 * kMB)) + 1,
          .key = "id",
          .format = "binary",
          .pull_id = id};
}

inline PullView loaded(int id, std::string name, int64_t rows, int64_t bytes, int64_t from_ms,
                       int64_t to_ms) {
  PullView pull = table(id, std::move(name), PullState::kDone, bytes + bytes / 50);
  pull.rows = rows;
  pull.bytes = bytes;
  pull.chunks_done = pull.chunks;
  pull.started = at(from_ms);
  pull.finished = at(to_ms);
  return pull;
}

inline PullView moving(int id, std::string name, int64_t bytes, int64_t estimated_bytes,
                       int workers, double rate) {
  PullView pull = table(id, std::move(name), PullState::kRunning, estimated_bytes);
  pull.rows = bytes / 270;
  pull.bytes = bytes;
  pull.chunks_done = static_cast<int>(bytes / (128 * kMB));
  pull.workers = workers;
  pull.started = at(1000);
  pull.bytes_per_s = rate;
  return pull;
}

/// Nothing but what every run has.
inline RunView empty_run() {
  return {.id = "12",
          .command = "copy",
          .source = {"host=old.example port=5432 dbname=shop user=loader", "12.22"},
          .destination = {"host=new.example port=5432 dbname=shop user=loader", "17.2"},
          .snapshot = "00000003-0000002D-1",
          .sessions = 8,
          .started = at(0),
          .elapsed = std::chrono::seconds(180)};
}

/// Twelve tables after three minutes: seven are done, two move, three wait.
inline RunView half_way() {
  RunView run = empty_run();
  run.bytes_per_s = 652.0 * kMB;
  run.pulls.push_back(moving(12, "sales.orders", 71 * kGB, 111 * kGB, 5, 412.0 * kMB));
  run.pulls.push_back(moving(13, "sales.order_line", 11 * kGB, 41 * kGB, 3, 240.0 * kMB));
  for (int id = 14; id < 21; ++id)
    run.pulls.push_back(loaded(id, "sales.part_" + std::to_string(id), 3'000'000, 3 * kGB / 2,
                               id * 1000, id * 2000));
  for (int id = 21; id < 24; ++id)
    run.pulls.push_back(
        table(id, "public.small_" + std::to_string(id), PullState::kPlanned, 700 * kMB));
  return run;
}

/// One table half way.
inline RunView one_table() {
  RunView run = empty_run();
  run.bytes_per_s = 412.0 * kMB;
  run.pulls.push_back(moving(12, "sales.orders", 71 * kGB, 111 * kGB, 8, 412.0 * kMB));
  return run;
}

inline FailureView unique_violation(const std::string &pull_id) {
  return {.sqlstate = "23505",
          .message = "duplicate key value violates unique constraint \"refund_pkey\"",
          .detail = "Key (id)=(1) already exists.\nPull " + pull_id + ", chunk 1.",
          .hint = "Empty the table first.",
          .command = "parallel-loader resume " + pull_id};
}

/// The end of a run: ten are loaded, one has failed, one was never begun.
inline RunView at_the_end() {
  RunView run = empty_run();
  run.elapsed = std::chrono::seconds(302);
  run.pulls.push_back(loaded(12, "sales.orders", 412'004'118, 111 * kGB, 1000, 272'000));
  run.pulls.push_back(loaded(13, "sales.order_line", 201'442'970, 41 * kGB, 1200, 301'000));
  for (int id = 14; id < 22; ++id)
    run.pulls.push_back(
        loaded(id, "sales.part_" + std::to_string(id), 23'206'657, 4 * kGB, id * 1000, id * 3000));
  PullView failed = table(22, "sales.refund", PullState::kFailed, 3 * kMB);
  failed.started = at(20'000);
  failed.finished = at(32'000);
  failed.failure = unique_violation("22");
  run.pulls.push_back(failed);
  PullView missing{.source_table = "sales.returns", .table = "sales.returns"};
  missing.failure =
      FailureView{.sqlstate = "42P01",
                  .message = "relation \"sales.returns\" does not exist on the source",
                  .hint = "Check the name, and the --source."};
  run.pulls.push_back(missing);
  return run;
}

} // namespace parallel_loader::sample
