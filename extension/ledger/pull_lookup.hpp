// pull_lookup: pulls that exist already, as a session that joins, watches or cancels one finds it.
#pragma once

#include "core/ledger/found_pull.hpp"
#include "core/ledger/run_ledger.hpp"

#include <cstdint>
#include <optional>
#include <vector>

#include "extension/bridge/boundary.hpp"
#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

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

/// The coordinator of the run that takes more pulls, of any role.
[[nodiscard]] std::optional<FoundRun> find_run(int64_t run_id);

/// Of each coordinator that is alive, of pulls of the current user, one of its pulls.
[[nodiscard]] std::vector<FoundPull> find_coordinators();

/// A pull into the table, of any role, whose coordinator is alive and which has not ended.
[[nodiscard]] std::optional<int64_t> find_live_pull_into(Oid table);

/// A pull, of any role, that loads the table, a partition of it or what it is a partition of, or
/// has loaded rows and ended after the time `since`.
[[nodiscard]] std::optional<FoundPull> find_loader(Oid table, const std::string &since);

/// A pull of the whole table, of any role, that is alive and whose rows an append would double. A
/// pull without a plan yet, whose source is not known, is taken for one.
[[nodiscard]] std::optional<int64_t> find_live_whole_pull(const AppendSubject &subject);

/// A pull's shared memory, attached while this object lives; empty when it is gone.
class AttachedPull {
public:
  explicit AttachedPull(const FoundPull &found);
  explicit AttachedPull(const FoundRun &found);
  AttachedPull(const AttachedPull &) = delete;
  AttachedPull &operator=(const AttachedPull &) = delete;
  ~AttachedPull();

  [[nodiscard]] SharedPull *get() const noexcept { return pull_; }
  [[nodiscard]] dsm_segment *segment() const noexcept { return segment_; }

private:
  void attach(dsm_handle handle, int64_t coordinator, Oid ledger);

  SharedPull *pull_ = nullptr;
  dsm_segment *segment_ = nullptr;
  bool is_new_mapping_ = false;
};

} // namespace parallel_loader
