// pull_endings: how the pulls of a run end, one by one, while the run goes on.
#pragma once

#include "core/ledger/local_relations.hpp"
#include "core/ledger/pull_state.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "extension/coordinator/source_hold.hpp"
#include "extension/ledger/pull_record.hpp"
#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// Why a pull ends that is not through.
struct Ending {
  PullEvent event;
  PullError error;
};

/// Counts the run's pulls, and writes the ends of those that are through and of those that cannot
/// go on.  What it knows of single pulls is in the ledger, but for those that are about to end.
class PullEndings {
public:
  /// `hold_ms`: how long the snapshot is kept for a pull that has failed.
  PullEndings(SharedPull *run, PullRecord &record, const SourceHold &hold, int64_t hold_ms) noexcept
      : run_(run), record_(record), hold_(hold), hold_ms_(hold_ms) {}

  /// The run has one more pull.  If more are to come (`is_followed`), its end does not wait for the
  /// run's.
  void note_plan(bool is_followed);
  /// The pull is to end so, once its chunks are taken back from those who work on it.  The first
  /// reason counts.
  void add(int64_t pull_id, const Ending &ending);
  /// Ends what can be ended now.
  void look();

  /// Why the run's only pull, all of whose chunks are done, is to end the run with an error.
  [[nodiscard]] const std::optional<Error> &end_of_all() const noexcept { return end_of_all_; }

  /// True while pulls are about to end.
  [[nodiscard]] bool is_waiting() const noexcept { return !endings_.empty(); }
  [[nodiscard]] bool have_all_ended() const noexcept { return open_ == 0; }
  /// The run's only pull is through: its last commit says that it is done.
  [[nodiscard]] bool closes_alone() const noexcept { return closes_alone_; }

  /// True if pulls have failed that a resume could take up under the snapshot.
  [[nodiscard]] bool is_any_held() const noexcept { return held_ > 0; }
  /// One of those was cancelled.
  void note_forgotten() noexcept;
  /// Those that have not ended end with the run, and could be resumed.
  void hold_rest() noexcept { held_ += open_; }

private:
  [[nodiscard]] bool is_alone() const;
  void take_touched();
  void close_complete(const std::optional<std::vector<int64_t>> &touched);
  [[nodiscard]] bool fail_if_changed(LocalRelations &relations, int64_t pull_id);
  void end_pulls();
  [[nodiscard]] bool try_end(int64_t pull_id, const Ending &ending);
  void report_end(int64_t pull_id, const Ending &ending);
  [[nodiscard]] bool is_held_for(PullEvent event, const Ledger::Totals &totals) const;
  [[nodiscard]] int64_t key() const noexcept { return run_->coordinator_id; }

  SharedPull *run_;
  PullRecord &record_;
  const SourceHold &hold_;
  int64_t hold_ms_;
  std::map<int64_t, Ending> endings_;
  int open_ = 0; // that have not ended
  int held_ = 0; // that have failed and could be resumed
  bool is_followed_ = false;
  bool closes_alone_ = false;
  std::optional<Error> end_of_all_;
};

} // namespace parallel_loader
