// run_view: what is known of a run at one moment: its pulls, their chunks, how it has gone so far.
#pragma once

#include "core/base/error.hpp"
#include "core/ledger/pull_state.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace parallel_loader {

/// By the destination's clock, where a ledger says it.
using WallTime = std::chrono::system_clock::time_point;

/// Why something failed, and the command that goes on with just that.
struct FailureView {
  std::string sqlstate = {}; // empty: wrong usage
  std::string message = {};
  std::string detail = {};
  std::string hint = {};
  std::string command = {}; // for a shell; empty: there is none
};

[[nodiscard]] FailureView failure_view(const Error &error);

/// A chunk, as the ledger has it.
struct ChunkView {
  int number = 0;
  std::string start = {}; // empty: open, like the next
  std::string end = {};
  PullState state =
      PullState::kPlanned; // of those that a chunk knows: planned, running, done, failed
  int64_t rows = 0;
  int64_t bytes = 0;
  int attempts = 0;
  std::string route = {}; // empty until it is chosen
  std::optional<WallTime> started = {};
  std::optional<WallTime> finished = {};
  int64_t copied_by = 0;  // who has moved it, the same number for the same worker; 0: unknown
  std::string error = {}; // why its last attempt failed; empty: it did not
};

enum class Verification { kNone, kCount, kChecksum };

/// What a comparison of both sides has come to.
struct VerifyView {
  Verification mode = Verification::kNone;
  bool matches = false;
  int64_t source_rows = 0;
  int64_t local_rows = 0;
  int range_count = 0;
  int differing_count = 0; // ranges
};

/// What a check has found.
struct CheckItem {
  std::string level; // info, warning, error
  std::string item;
  std::string message;
  std::string hint;
};

/// What would keep the table from being loaded; nothing: no item says so.
[[nodiscard]] std::optional<FailureView> failure_of(std::span<const CheckItem> items);

/// What would be done with a table.
struct DryRunView {
  int64_t estimated_rows = 0;
  std::string route;        // empty: there is nothing to copy
  std::string route_reason; // why it is not the fastest one
  bool is_emptied = false;
  std::vector<CheckItem> items;
};

/// A table of the run: a pull, or what kept it from becoming one.
struct PullView {
  std::string id = {}; // as people and JSON have it; empty: no pull was made of it
  std::string source_table = {};
  std::string table = {}; // on the destination
  PullState state = PullState::kPlanned;
  int64_t rows = 0;            // committed and in flight
  int64_t bytes = 0;           // likewise
  int64_t estimated_bytes = 0; // on the source's disk; 0: unknown
  int chunks = 0;
  int chunks_done = 0;
  int retries = 0;
  int workers = 0;
  std::string key = {};    // what ranges are cut on; empty: one piece
  std::string format = {}; // text or binary
  std::optional<WallTime> started = {};
  std::optional<WallTime> finished = {};
  // `started` is when it was planned, perhaps long before its turn came.
  std::optional<std::chrono::milliseconds> moving_since = {}; // from the start of the run
  std::chrono::milliseconds moved_for{0};                     // so far
  std::string waiting_for = {};                               // empty: it moves
  int64_t max_rate_kb = 0;                                    // a second; 0: no limit
  double bytes_per_s = 0;                                     // of late
  int64_t pull_id = 0;                                        // 0: no pull was made of it
  int64_t run_id = 0;
  uint32_t table_oid = 0;                        // on the destination
  int64_t coordinator_pid = 0;                   // 0: nobody has its snapshot
  std::optional<WallTime> coordinator_ends = {}; // when that lets go, unless somebody comes
  std::string hold_ended = {};                   // why it has let go; empty: it has not
  std::optional<WallTime> snapshot_taken = {};
  std::string snapshot = {};                            // its name; empty: none
  std::string snapshot_state = {};                      // what it shows; empty: not known
  int tables_to_come = 0;                               // in its run, when it was created
  std::string source = {};                              // as the ledger has it, without password
  int64_t rows_before = 0;                              // of `rows`: when this command began
  int64_t bytes_before = 0;                             // likewise
  std::optional<bool> began_empty = {};                 // the destination's table did
  bool has_bounds = false;                              // of parallel_pull
  std::string filter = {};                              // SQL, on the source
  bool is_partial = false;                              // has a filter, or was told its columns
  std::optional<std::vector<std::string>> columns = {}; // nullopt: all
  std::string kind = {};                                // pull or append
  bool is_known = true; // what stands here is what the ledger has; false: it could not be asked
  std::optional<FailureView> failure = {};
  std::string next_command = {};          // what to do with it, for a shell; empty: nothing
  std::string warning = {};               // of one that is done; empty: none
  std::optional<VerifyView> verify = {};  // once it was compared
  std::vector<ChunkView> chunk_list = {}; // for a report; empty else
  std::optional<DryRunView> dry_run = {};
};

/// A moment of the run, for the curve of its throughput.
struct Sample {
  std::chrono::milliseconds elapsed{0};
  int64_t rows = 0;
  int64_t bytes = 0;
};

/// What a table has waited for.
struct WaitView {
  std::string table = {};              // as PullView::source_table
  std::string reason = {};             // as PullView::waiting_for
  std::chrono::milliseconds since{0};  // from the start of the run
  std::chrono::milliseconds lasted{0}; // so far
};

/// A server, for people: never with a password.
struct ServerView {
  std::string address = {}; // host=… port=… dbname=… user=…
  std::string version = {}; // 15.20
};

struct SequenceView {
  std::string name = {};
  std::optional<int64_t> value = {}; // none: it was not set
};

struct RunView {
  std::string id = {};      // empty: nothing was begun
  std::string command = {}; // copy, resume, …
  std::string via = "extension";
  ServerView source;
  ServerView destination;
  std::string snapshot = {};          // its name; empty: none
  bool has_several_snapshots = false; // its tables do not share one picture
  int sessions = 0;                   // on the destination
  std::optional<WallTime> started = {};
  std::chrono::milliseconds elapsed{0};
  double bytes_per_s = 0;                   // of late, of all tables
  std::vector<PullView> pulls = {};         // every table of it, in the order of the selection
  std::vector<Sample> samples = {};         // one a second at most
  std::vector<WaitView> waits = {};         // in the order in which they began
  std::vector<SequenceView> sequences = {}; // that were to be set
  std::optional<FailureView> failure = {};  // what has ended the run itself, or was in its way
  std::vector<std::string> warnings = {};
  std::vector<std::pair<std::string, std::string>> options = {}; // as given, without passwords
};

/// What a whole run has come to.
struct RunTotals {
  int tables = 0;
  int done = 0;
  int failed = 0; // ended without being done, or never begun
  int64_t rows = 0;
  int64_t bytes = 0;
  int64_t moved_rows = 0;  // by this command
  int64_t moved_bytes = 0; // likewise
  int64_t estimated_bytes = 0;
  int chunks = 0;
  int chunks_done = 0;
  int retries = 0;
};

[[nodiscard]] RunTotals totals_of(const RunView &run) noexcept;

} // namespace parallel_loader
