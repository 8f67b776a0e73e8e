// run_coordinator: the background process that owns a run: it plans pulls under one snapshot, in
// one session on the source, and writes how each of them ends.
#pragma once

#include "core/ledger/ledger.hpp"
#include "core/ledger/run_ledger.hpp"

#include "extension/bridge/mail_waiter.hpp"
#include "extension/bridge/request.hpp"
#include "extension/coordinator/plan_queue.hpp"
#include "extension/coordinator/pull_endings.hpp"
#include "extension/coordinator/slot_wait.hpp"
#include "extension/coordinator/source_hold.hpp"
#include "extension/coordinator/watchdog.hpp"
#include "extension/coordinator/worker_set.hpp"
#include "extension/ledger/attempt_notes.hpp"
#include "extension/ledger/pull_record.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <optional>
#include <string>
#include <vector>

extern "C" {
#include "utils/timestamp.h"
}

namespace parallel_loader {

/// One per run, for the life of its process.  It starts no workers: sessions bring them.  What it
/// knows of single pulls is in the ledger, but for those that are about to end.
class RunCoordinator {
public:
  RunCoordinator(SharedPull *run, dsm_handle handle, Request request);

  /// Records and plans the first pull.
  void begin();
  /// Returns when no pull is left that has not ended.  Throws what ends the whole run before,
  /// Stopped among it.
  void supervise();
  /// Ends what is left of the run's pulls, with this error; nullptr: nothing is left.
  void end(PullEvent event, const ErrorReport *report);
  /// Keeps the snapshot for resumes of pulls that have failed.
  void hold_snapshot();

  [[nodiscard]] WorkerSet &workers() noexcept { return workers_; }
  [[nodiscard]] int64_t pull_id() const noexcept { return run_->pull_id; }
  [[nodiscard]] bool has_begun() const noexcept { return record_.is_ours(); }
  void drop_snapshot() { hold_.close(); }
  /// After end: true if a resume can go on under the snapshot.
  [[nodiscard]] bool is_worth_holding();

private:
  void take_mail();
  void take_message(const RunMessage &message);
  void forget(int64_t pull_id);
  void plan_next();
  [[nodiscard]] Request take_request(const PlanTicket &ticket);
  void answer_plan(QueuedTicket &ticket, Request &request);
  void note_plan(const PullPlan &plan);
  void turn();
  void heed_plans();
  void release_if_all_read();
  void end_snapshot_durably();
  void replace_lost_workers();
  void follow_orders();
  void note_running();
  void record_limits();
  void staff();
  void look_for_slots(bool lacks_workers);
  TimestampTz note_patience();
  void throw_if_abandoned();
  [[nodiscard]] bool is_lingering() const;
  [[nodiscard]] int64_t key() const noexcept { return run_->coordinator_id; }
  template <class Fn> void in_run_transaction(Fn fn) {
    record_.in_transaction([&](Ledger & /*ledger*/) {
      SpiExecutor executor(SpiMode::kWrite);
      RunLedger ledger(executor);
      fn(ledger);
    });
  }

  SharedPull *run_;
  Request request_; // of the first pull, but for run_wait_ms: of the last
  PullRecord record_;
  WorkerSet workers_;
  AttemptNotes notes_;
  MailWaiter waiter_;
  Watchdog watchdog_;
  SourceConnection source_;
  SourceHold hold_;
  PullEndings endings_;
  PlanQueue queue_;
  std::optional<SlotWait> slot_wait_;
  int chunks_done_ = 0; // at the last look
  bool is_paused_ = false;
  TimestampTz planned_at_ = 0; // when a pull was last planned, or was to be
  TimestampTz turned_at_ = 0;
  TimestampTz worked_at_ = GetCurrentTimestamp(); // when a worker was last there
};

} // namespace parallel_loader
