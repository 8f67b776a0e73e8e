// pull_lookup: a pull that exists already, as a session that joins, watches or cancels it finds it.
#pragma once

#include "core/ledger/append_ledger.hpp"
#include "core/ledger/pull_state.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "extension/bridge/boundary.hpp"
#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

struct FoundPull {
  int64_t pull_id = 0;
  Oid owner = InvalidOid;
  Oid table = InvalidOid;
  PullState state = PullState::kPlanned; // `interrupted` when the coordinator is gone
  std::string snapshot;
  std::string kind; // pull or append
  int chunks_left = 0;
  int workers = 0;                // as it was asked for, or altered to
  bool is_begun = false;          // a chunk is done
  std::string source;             // as the caller named it, without the password
  std::string key;                // empty: none
  bool shares_snapshot = false;   // with other pulls of its run
  bool has_snapshot_lock = false; // else it is not planned yet, or by an earlier version
  dsm_handle segment = 0;         // valid while is_live or is_held
  int coordinator_pid = 0;        // likewise
  bool is_live = false;           // it is unfinished and its coordinator is there
  std::string table_name;         // as it is, or was when the pull was begun
  bool has_table = false;         // it is still there
  Oid ledger = InvalidOid;        // the table of the ledger that it stands in
  bool is_held = false; // it has failed, and its coordinator keeps the snapshot for a resume

  /// Every chunk is done: nothing of the source is needed any more.
  [[nodiscard]] bool is_read() const noexcept { return is_begun && chunks_left == 0; }
};

/// Looks the pull up, as of now.  Throws Error 42704 when there is none that the current user may
/// see.
[[nodiscard]] FoundPull find_pull(int64_t pull_id);

/// The process that holds the lock of resumes of the pull, or 0.
[[nodiscard]] int find_resumer(int64_t pull_id);

/// All pulls of the current user (a superuser's: all pulls) whose coordinator is alive.
[[nodiscard]] std::vector<FoundPull> find_live_pulls();

/// The pulls, of whatever owner, that have failed and whose coordinator keeps their snapshot; those
/// that failed first come first.
[[nodiscard]] std::vector<FoundPull> find_held_pulls();

/// A pull into the table, of any role, whose coordinator is alive and which has not ended.
[[nodiscard]] std::optional<int64_t> find_live_pull_into(Oid table);

/// A pull of the whole table, of any role, that is alive and whose rows an append would double. A
/// pull without a plan yet, whose source is not known, is taken for one.
[[nodiscard]] std::optional<int64_t> find_live_whole_pull(const AppendSubject &subject);

/// A pull's shared memory, attached while this object lives; empty when it is gone.
class AttachedPull {
public:
  explicit AttachedPull(const FoundPull &found);
  AttachedPull(const AttachedPull &) = delete;
  AttachedPull &operator=(const AttachedPull &) = delete;
  ~AttachedPull();

  [[nodiscard]] SharedPull *get() const noexcept { return pull_; }
  [[nodiscard]] dsm_segment *segment() const noexcept { return segment_; }

private:
  SharedPull *pull_ = nullptr;
  dsm_segment *segment_ = nullptr;
  bool is_new_mapping_ = false;
};

} // namespace parallel_loader
