// found_pull: a pull that exists already, as the ledger and the locks of its processes show it.
#pragma once

#include "core/base/error.hpp"
#include "core/base/quote.hpp"
#include "core/ledger/append_ledger.hpp"
#include "core/ledger/ledger_executor.hpp"
#include "core/ledger/pull_state.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace parallel_loader {

struct FoundPull {
  int64_t pull_id = 0;
  uint32_t owner = 0;
  uint32_t table = 0;
  PullState state = PullState::kPlanned; // `interrupted` when the coordinator is gone
  std::string snapshot;
  std::string kind; // pull or append
  int chunks_left = 0;
  int workers = 0;                // as it was asked for, or altered to
  bool is_begun = false;          // a chunk is done
  std::string source;             // as the caller named it, without the password
  std::string key;                // empty: none
  bool shares_snapshot = false;   // with other pulls of its run: resumed anew it has its own
  bool has_snapshot_lock = false; // else it is not planned yet, or by an earlier version
  uint32_t segment = 0;           // of dynamic shared memory; valid while is_live or is_held
  int coordinator_pid = 0;        // likewise
  int64_t coordinator = 0;        // the key of its lock: the pull's id, or a run's, below 0
  int64_t run_id = 0;
  bool is_live = false;   // it is unfinished and its coordinator is there
  std::string table_name; // as it is, or was when the pull was begun
  bool has_table = false; // it is still there
  uint32_t ledger = 0;    // the table of the ledger that it stands in
  bool is_held = false;   // it has failed, and its coordinator keeps the snapshot for a resume

  /// Every chunk is done: nothing of the source is needed any more.
  [[nodiscard]] bool is_read() const noexcept { return is_begun && chunks_left == 0; }
};

/// Error 55006, of a table that another pull loads.
[[nodiscard]] Error loading_error(const QualifiedName &table, int64_t pull_id);

/// Finds pulls of any role; every call is one statement in the Executor's current transaction.
class PullFinder {
public:
  explicit PullFinder(Executor &executor, std::string_view schema = kExtensionSchema)
      : executor_(executor, schema) {}

  [[nodiscard]] std::optional<FoundPull> find(int64_t pull_id);
  /// The process that holds the lock of resumes of the pull, or 0.
  [[nodiscard]] int find_resumer(int64_t pull_id);
  /// Those that have not ended and whose coordinator is alive.
  [[nodiscard]] std::vector<FoundPull> find_live();
  /// Those that have failed or were cancelled and whose coordinator keeps their snapshot, in the
  /// order in which that happened.
  [[nodiscard]] std::vector<FoundPull> find_held();
  /// Of each coordinator that is alive, live or holding, one of its pulls.
  [[nodiscard]] std::vector<FoundPull> find_coordinators();
  /// A live one into the table.
  [[nodiscard]] std::optional<int64_t> find_live_into(uint32_t table);
  /// One into the table, its partitions or what it is a partition of that is live, or was after the
  /// time `since` and has loaded rows.
  [[nodiscard]] std::optional<FoundPull> find_loader(uint32_t table, const std::string &since);
  /// A live one of the whole table, whose rows an append would double.  A pull without a plan yet,
  /// whose source is not known, is taken for one.
  [[nodiscard]] std::optional<int64_t> find_live_whole(const AppendSubject &subject);
  /// The newest one of the whole table, from whatever source, not done but with rows, of an owner
  /// whose rights `role` has.
  [[nodiscard]] std::optional<int64_t> find_begun(uint32_t table, uint32_t role);
  /// True if chunks are done whose filter 0.3 evaluated under an empty search path.
  [[nodiscard]] bool has_old_filter(int64_t pull_id);

private:
  [[nodiscard]] std::vector<FoundPull> look_up(std::string_view condition,
                                               const std::vector<Param> &params = {});

  LedgerExecutor executor_;
};

} // namespace parallel_loader
