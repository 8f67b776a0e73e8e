// run: what is known of the work at one moment, for those who show it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace parallel_loader {

/// States of a pull, as the ledger has them.
enum class RunState { kPlanned, kRunning, kPaused, kDone, kFailed, kCancelled, kInterrupted };

/// Reads the ledger's word.  Throws Error XX000 for one that it does not have.
[[nodiscard]] RunState parse_run_state(std::string_view word);
[[nodiscard]] std::string_view run_state_name(RunState state) noexcept;
/// True when the pull moves nothing any more.
[[nodiscard]] bool has_ended(RunState state) noexcept;

struct Run {
  std::string table;       // on the source, for display
  std::string destination; // on the destination, for display
  int64_t pull_id = 0;
  RunState state = RunState::kPlanned;
  int64_t row_count = 0;
  int64_t byte_count = 0;
  int chunk_count = 0;
  int chunk_done_count = 0;
  int session_count = 0;
  int64_t estimated_bytes = 0; // what the table takes on the source's disk; 0 without an estimate
  double rate_bytes_per_s = 0; // of the last seconds
  std::chrono::milliseconds elapsed{0};
  bool is_held = false;             // it has failed, and its snapshot is kept for a resume
  bool is_left_alive = false;       // it could not be cancelled, and waits for sessions to join it
  bool has_block_ranges = false;    // its chunks are ranges of ctid
  bool is_known = true;             // what the ledger said last is what became of the pull
  std::string function_schema = {}; // quoted; where the destination has our functions
  bool needs_password = false;      // which the destination does not keep
};

/// `sales.orders`, or `sales.orders -> archive.orders` when the names differ; printable.
[[nodiscard]] std::string run_label(const Run &run);
/// Over the whole run; 0 before the first millisecond has passed.
[[nodiscard]] double rows_per_s(const Run &run) noexcept;
[[nodiscard]] double bytes_per_s(const Run &run) noexcept;

} // namespace parallel_loader
