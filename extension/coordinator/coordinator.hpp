// coordinator: the background process that owns a pull: ledger, snapshot, workers.
#pragma once

#include "core/ledger/ledger.hpp"

#include "extension/bridge/mail_waiter.hpp"
#include "extension/bridge/request.hpp"
#include "extension/coordinator/slot_wait.hpp"
#include "extension/coordinator/source_hold.hpp"
#include "extension/coordinator/watchdog.hpp"
#include "extension/coordinator/worker_set.hpp"
#include "extension/ledger/attempt_notes.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/ledger/pull_record.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <optional>
#include <string>

namespace parallel_loader {

/// One per pull, for the life of its process.  It owns the session on the source that holds the
/// snapshot, and the pull's row in the ledger; workers are processes of their own, of which it
/// keeps the handles.  `pull` outlives it.
class Coordinator {
public:
  Coordinator(SharedPull *pull, dsm_handle handle, Request request)
      : pull_(pull), request_(std::move(request)), record_(pull), workers_(pull, handle),
        waiter_(pull), watchdog_(pull, request_, waiter_), source_(waiter_, pull),
        hold_(source_, pull) {
    request_.pull.owner = pull->owner;
    request_.pull.segment = handle;
  }

  /// Records and plans the pull, or takes up a recorded one, and starts its workers.
  void begin();
  /// Returns when every chunk is done.  Throws what ends the pull before, Stopped among it.
  void supervise();
  /// Writes the pull's end into the ledger, if the pull is there, and tells everybody, and whether
  /// its snapshot is held.
  void end(PullEvent event, const ErrorReport *report, bool is_holding);
  /// Keeps the snapshot of a pull that has failed, until its time is over or a resume has it.
  void hold_snapshot();

  [[nodiscard]] WorkerSet &workers() noexcept { return workers_; }
  [[nodiscard]] int64_t pull_id() const noexcept { return pull_->pull_id; }
  /// False while the ledger does not have the pull as this process's: its state is another's then.
  [[nodiscard]] bool has_begun() const noexcept { return record_.is_ours(); }
  /// True if a resume could go on under the snapshot of a pull that has failed.
  [[nodiscard]] bool is_worth_holding();
  void drop_snapshot() { hold_.close(); }

private:
  void create();
  void prune_appends();
  void tell(const PlanNotice &notice);
  void resume();
  FoundPull find_resumable();
  void receive_lock(const FoundPull &found);
  void resume_without_source(const FoundPull &found);
  void stay_at(const SourcePlace &place);
  void count_chunks(Ledger &ledger);
  void start();
  void turn();
  void replace_lost_workers();
  void follow_orders();
  void record_limits();
  void staff();
  void await_slot(bool lacks_workers);
  void forget_slot_wait();
  void release_if_all_read();
  void give_way();
  void end_snapshot_durably();
  void require_rows_kept();
  void tell_end(bool is_holding);
  [[nodiscard]] bool is_done();

  SharedPull *pull_;
  Request request_;
  PullRecord record_;
  WorkerSet workers_;
  AttemptNotes notes_;
  MailWaiter waiter_;
  Watchdog watchdog_;
  SourceConnection source_;
  SourceHold hold_;
  std::optional<SlotWait> slot_wait_;
  int chunks_done_ = 0; // at the last look
};

} // namespace parallel_loader
