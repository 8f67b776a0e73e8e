// run_ledger: the SQL by which the coordinator of a run writes the ends of its pulls, many at once.
#pragma once

#include "core/ledger/ledger.hpp"
#include "core/ledger/ledger_executor.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// A run's coordinator that is alive, as a session that adds a pull finds it.
struct FoundRun {
  int64_t coordinator = 0; // key of its lock
  uint32_t owner = 0;
  std::string source; // without the password
  uint32_t segment = 0;
  uint32_t ledger = 0;
};

/// Every call is one statement in the Executor's current transaction.  `coordinator` is the key of
/// the lock of this process.
class RunLedger {
public:
  explicit RunLedger(Executor &executor, std::string_view schema = kExtensionSchema)
      : executor_(executor, schema) {}

  /// The coordinator that takes pulls of this run, dead or alive being for others to see.
  [[nodiscard]] std::optional<FoundRun> find(int64_t run_id);
  /// Of these pulls, or of all that the coordinator has (nullopt), those that have not ended and
  /// whose chunks are all done.
  [[nodiscard]] std::vector<int64_t>
  find_complete(int64_t coordinator, const std::optional<std::vector<int64_t>> &pulls);
  void mark_done(const std::vector<int64_t> &pulls);
  /// Those that are planned run.
  void mark_running(const std::vector<int64_t> &pulls);
  /// All that have not ended are paused, or go on.
  void mark_paused(int64_t coordinator);
  void mark_unpaused(int64_t coordinator);
  /// Of all pulls that have not ended: see Ledger::set_limits.
  void set_limits(int64_t coordinator, std::optional<int> workers, std::optional<int> max_rate_kb);
  /// Keeps workers from taking more chunks of the pull.  Those that are being copied stay; returns
  /// how many are open still.
  int revoke_chunks(int64_t pull_id);
  /// All pulls of the coordinator that have not ended end so.
  void end_all(int64_t coordinator, std::string_view state, const PullError &error);
  /// What the source has flushed, or may not have, of the coordinator's pulls that are done.
  void note_flushed(int64_t coordinator);
  void forget_bounds(int64_t coordinator);
  /// The snapshot of a pull that has ended is not held for it any more. Returns true if it was.
  bool let_go(int64_t pull_id, std::string_view reason);
  void note_hold_ended(int64_t coordinator, std::string_view reason);
  /// True while the coordinator has a pull that a resume could take up under the snapshot.
  [[nodiscard]] bool has_failed(int64_t coordinator);
  /// Chunks that are not done and that workers may take.
  [[nodiscard]] int open_chunks(int64_t coordinator);

private:
  LedgerExecutor executor_;
};

} // namespace parallel_loader
