#include "core/ledger/lock_class.hpp"

#include "extension/server/process/waiting_session.hpp"

#include "extension/server/base/notice.hpp"
#include "extension/server/base/socket_wait.hpp"
#include "extension/server/process/last_commit.hpp"
#include "extension/server/process/lock_trap.hpp"
#include "extension/server/process/pull_owner.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/process/worker_census.hpp"
#include "extension/server/shared/mailbox.hpp"
#include "extension/server/shared/worker_slots.hpp"

extern "C" {
#include "libpq/libpq-be.h"
#include "libpq/libpq.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
}

namespace parallel_loader {

// For the coordinator and a worker.
static constexpr int kLeastSlots = 2;

static void give_up(SharedPull *pull) {
  last_commit_give_up(pull);
  mailbox_post_urgent_stop(pull, kStopWaitingSession);
}

// Runs when the statement fails, is cancelled, or the session ends.
static void leave_pull_behind(dsm_segment *segment, Datum /*unused*/) {
  auto *pull = static_cast<SharedPull *>(dsm_segment_address(segment));
  if (pull->coordinator_pid == 0) // else the coordinator overwrites it
    secret_bytes_wipe(&pull->request);
  give_up(pull);
  mailbox_await_stop(pull); // this transaction is about to free locks that workers may wait for
}

WaitingSession waiting_session_prepare(Oid owner, Oid table, const char *request,
                                       Size request_size) {
  const bool owner_may_log_in = pull_owner_may_log_in(owner);
  pull_owner_require_connect(owner);
  WaitingSession session = {};
  session.segment = shared_pull_create(owner, table, request, request_size, &session.pull);
  session.pull->owner_may_log_in = owner_may_log_in;
  session.pull->waiting_pid = MyProcPid;
  last_commit_ask(session.pull);
  on_dsm_detach(session.segment, leave_pull_behind, Datum(0));
  return session;
}

// Those who start coordinators take turns, so that each sees those of the others.  The lock is the
// server's, not one database's.
static LOCKTAG start_lock() {
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, InvalidOid, 0, 0, kStartLockClass);
  return tag;
}

static void raise_no_room(const WorkerCensus *census) {
  ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                  errmsg("a pull needs two background worker slots, and this server has %d for it",
                         Max(census->limit - census->permanent, 0)),
                  errdetail("Of the slots of max_worker_processes, %s.", census->text),
                  errhint("Set max_worker_processes to %d or more, and restart the server.",
                          kLeastSlots + census->permanent)));
}

static WorkerCensus require_slots() {
  const WorkerCensus census = worker_census_take();
  if (census.limit - census.permanent < kLeastSlots)
    raise_no_room(&census);
  return census;
}

void waiting_session_require_slots() {
  static_cast<void>(require_slots());
}

static bool has_room(bool takes_over) {
  const WorkerCensus census = require_slots();
  const int coordinators = census.coordinators + (takes_over ? 0 : 1);
  return coordinators + census.foreign < census.limit;
}

// Until it is there, so that whoever starts the next one counts it.
static void wait_until_started(const WaitingSession *session) {
  constexpr long kStepMs = 5;
  while (session->pull->coordinator_pid == 0 && shared_pull_phase(session->pull) != kPhaseEnded &&
         !background_has_ended(session->coordinator))
    latch_sleep(kStepMs);
}

bool waiting_session_launch(WaitingSession *session, bool takes_over) {
  constexpr long kStepMs = 5;
  const LOCKTAG tag = start_lock();
  while (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
    latch_sleep(kStepMs);
  if (has_room(takes_over))
    session->coordinator = background_start_coordinator(dsm_segment_handle(session->segment));
  if (session->coordinator != nullptr)
    wait_until_started(session);
  LockRelease(&tag, ExclusiveLock, false);
  return session->coordinator != nullptr;
}

static void check_client() {
  if (MyProcPort != nullptr && !pq_check_connection()) {
    ClientConnectionLost = true;
    InterruptPending = true;
  }
}

void waiting_session_wait_for_room(bool is_first) {
  constexpr long kStepMs = 50;
  if (is_first)
    waiting_session_report_workers(0, 1);
  latch_sleep(kStepMs);
  check_client();
  CHECK_FOR_INTERRUPTS();
}

// At the last commit a cancel is what it is to COMMIT: it ends the wait for the standby alone.
static void give_up_last_wait(SharedPull *pull) {
  const bool is_first = pg_atomic_read_u32(&pull->mail.is_given_up) == 0;
  if (!QueryCancelPending || pull->waiting_pid != MyProcPid || !is_first ||
      !last_commit_waits(pull))
    return;
  QueryCancelPending = false;
  give_up(pull);
}

void waiting_session_wait_turn(SharedPull *pull, long sleep_ms) {
  HOLD_CANCEL_INTERRUPTS();
  latch_sleep(sleep_ms);
  RESUME_CANCEL_INTERRUPTS();
  give_up_last_wait(pull);
  check_client();
  CHECK_FOR_INTERRUPTS();
  if (lock_trap_is_caught(pull))
    lock_trap_raise(pull);
}

void waiting_session_wait(const WaitingSession *session, PullPhase phase) {
  while (shared_pull_phase(session->pull) < phase) {
    if (background_has_ended(session->coordinator) && shared_pull_phase(session->pull) < phase) {
      waiting_session_raise_error(session);
      ereport(ERROR,
              (errcode(ERRCODE_ADMIN_SHUTDOWN),
               errmsg("the coordinator of the pull was terminated"),
               session->pull->pull_id != 0
                   ? errdetail("Pull " INT64_FORMAT " was interrupted.", session->pull->pull_id)
                   : 0,
               errhint("See the server log for the reason.")));
    }
    waiting_session_wait_turn(session->pull);
  }
  if (shared_pull_phase(session->pull) == kPhaseEnded) {
    if (pg_atomic_read_u32(&session->pull->holds_snapshot) == 0)
      background_await_end(&session->coordinator, 1);
    waiting_session_raise_error(session);
    last_commit_report(session->pull);
  }
}

void waiting_session_report_workers(int started, int wanted) {
  if (started >= wanted)
    return;
  if (started > 0) {
    ereport(NOTICE, (errmsg("pulling with %d of %d workers", started, wanted),
                     errhint("Raise max_worker_processes to have more background worker slots.")));
    return;
  }
  const WorkerCensus census = worker_census_take();
  ereport(NOTICE, (errmsg("waiting for a background worker slot"),
                   errdetail("Of the slots of max_worker_processes, %s.", census.text)));
}

void waiting_session_report_notice(const SharedPull *pull) {
  if (shared_pull_phase(pull) >= kPhasePlanned && pull->notice[0] != '\0')
    notice(pull->notice, "", pull->notice_hint);
}

void waiting_session_raise_error(const WaitingSession *session) {
  ErrorReport report;
  if (shared_pull_error(session->pull, &report))
    error_report_raise(&report);
}

void waiting_session_release(WaitingSession *session) {
  cancel_on_dsm_detach(session->segment, leave_pull_behind, Datum(0));
  session->pull->waiting_pid = 0;
  dsm_detach(session->segment);
  session->segment = nullptr;
}

} // namespace parallel_loader
