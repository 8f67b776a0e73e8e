// leader: see leader.hpp.
#include "extension/server/leader.hpp"

#include "extension/server/lock_trap.hpp"
#include "extension/server/pull_owner.hpp"
#include "extension/server/socket_wait.hpp"
#include "extension/server/worker_slots.hpp"

extern "C" {
#include "libpq/libpq-be.h"
#include "libpq/libpq.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
}

namespace parallel_loader {

// Runs when the statement fails, is cancelled, or the session ends.
static void leave_pull_behind(dsm_segment *segment, Datum /*unused*/) {
  auto *pull = static_cast<SharedPull *>(dsm_segment_address(segment));
  shared_pull_request_stop(pull, kStopLeader);
  // At once, before this transaction frees locks that workers may wait for.
  if (shared_pull_phase(pull) != kPhaseEnded)
    worker_slots_stop(pull, 0);
}

Leader leader_start(Oid owner, Oid table, const char *order, Size order_size) {
  const bool owner_may_log_in = pull_owner_may_log_in(owner);
  pull_owner_require_connect(owner);
  Leader leader = {};
  leader.segment = shared_pull_create(owner, table, order, order_size, &leader.pull);
  leader.pull->owner_may_log_in = owner_may_log_in;
  leader.pull->leader_pid = MyProcPid;
  leader.coordinator = background_start_coordinator(dsm_segment_handle(leader.segment));
  if (leader.coordinator == nullptr) {
    ereport(ERROR,
            (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
             errmsg("no background worker slot is free"),
             errhint("Raise max_worker_processes, or wait until other workers have ended.")));
  }
  on_dsm_detach(leader.segment, leave_pull_behind, Datum(0));
  return leader;
}

static void check_client() {
  if (MyProcPort != nullptr && !pq_check_connection()) {
    ClientConnectionLost = true;
    InterruptPending = true;
  }
}

void leader_wait_turn(SharedPull *pull, long sleep_ms) {
  latch_sleep(sleep_ms);
  check_client();
  CHECK_FOR_INTERRUPTS();
  if (lock_trap_is_caught(pull))
    lock_trap_raise(pull);
}

// The coordinator's process ends right after its last word; its worker slot is free only then.
static void wait_for_process(const Leader *leader) {
  constexpr long kStepMs = 5;
  constexpr long kPatienceMs = 2000;
  for (long waited_ms = 0; waited_ms < kPatienceMs && !background_has_ended(leader->coordinator);
       waited_ms += kStepMs)
    latch_sleep(kStepMs);
}

void leader_wait(const Leader *leader, PullPhase phase) {
  while (shared_pull_phase(leader->pull) < phase) {
    if (background_has_ended(leader->coordinator) && shared_pull_phase(leader->pull) < phase) {
      leader_raise_error(leader);
      ereport(ERROR,
              (errcode(ERRCODE_ADMIN_SHUTDOWN),
               errmsg("the coordinator of the pull was terminated"),
               leader->pull->pull_id != 0
                   ? errdetail("Pull " INT64_FORMAT " was interrupted.", leader->pull->pull_id)
                   : 0,
               errhint("The server log says why, if nobody terminated it on purpose.")));
    }
    leader_wait_turn(leader->pull);
  }
  if (shared_pull_phase(leader->pull) == kPhaseEnded) {
    if (pg_atomic_read_u32(&leader->pull->holds_snapshot) == 0)
      wait_for_process(leader);
    leader_raise_error(leader);
  }
}

void leader_report_workers(int started, int wanted) {
  if (started >= wanted)
    return;
  ereport(NOTICE,
          (started > 0
               ? errmsg("pulling with %d of %d workers", started, wanted)
               : errmsg("no background worker slot is free, the coordinator moves the rows itself"),
           errhint("Raise max_worker_processes to have more background worker slots.")));
}

void leader_raise_error(const Leader *leader) {
  ErrorReport report;
  if (shared_pull_error(leader->pull, &report))
    error_report_raise(&report);
}

void leader_release(Leader *leader) {
  cancel_on_dsm_detach(leader->segment, leave_pull_behind, Datum(0));
  leader->pull->leader_pid = 0;
  dsm_detach(leader->segment);
  leader->segment = nullptr;
}

void leader_hide_statement() {
  static const char kHidden[] = "parallel pull (statement not shown: it may hold a password)";
  debug_query_string = kHidden;
  pgstat_report_activity(STATE_RUNNING, kHidden);
}

} // namespace parallel_loader
