#include "extension/server/process/work_session.hpp"

#include "extension/server/process/background.hpp"
#include "extension/server/process/last_commit.hpp"
#include "extension/server/process/pull_owner.hpp"
#include "extension/server/process/settings.hpp"
#include "extension/server/process/waiting_session.hpp"
#include "extension/server/shared/mailbox.hpp"
#include "extension/server/shared/shared_session.hpp"
#include "extension/server/shared/worker_slots.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace parallel_loader {

struct OwnWorkers {
  int count;
  BackgroundWorkerHandle *handles[kMaxWorkers];
  int slots[kMaxWorkers];
};

// What a worker of this session is told.
struct WorkPlace {
  SharedPull *pull;
  SharedSession *session;
  dsm_handle pull_handle;
  dsm_handle session_handle;
};

// The pull that this session waits for a slot for; nullptr: it does not.
static SharedPull *awaiting_slot = nullptr;

static void begin_waiting(SharedPull *pull) {
  pg_atomic_fetch_add_u32(&pull->slot_waiters, 1);
  awaiting_slot = pull;
  shared_pull_wake(pull->coordinator_pid);
}

static void end_waiting(SharedPull *pull) {
  if (awaiting_slot == pull)
    pg_atomic_fetch_sub_u32(&pull->slot_waiters, 1);
  awaiting_slot = nullptr;
}

// Runs when the statement fails, is cancelled, or the session ends.
static void leave_workers_behind(dsm_segment *segment, Datum /*unused*/) {
  auto *pull = static_cast<SharedPull *>(dsm_segment_address(segment));
  end_waiting(pull);
  worker_slots_leave_behind(pull);
  mailbox_await_stop(pull); // as leave_pull_behind of a session
}

static void start_workers(const WorkPlace *place, int wanted, OwnWorkers *own) {
  while (own->count < wanted) {
    WorkerArgs args = {place->pull_handle, place->session_handle, -1, 0};
    BackgroundWorkerHandle *handle = background_start_in_slot(place->pull, &args);
    if (handle == nullptr)
      break;
    own->handles[own->count] = handle;
    own->slots[own->count] = args.slot;
    own->count++;
  }
}

// A worker that could not start never takes its slot; the coordinator reports it as lost.
static void give_up_unstarted(SharedPull *pull, const OwnWorkers *own) {
  for (int index = 0; index < own->count; index++) {
    const int slot = own->slots[index];
    if (worker_slot_state(pull, slot) == kSlotReserved &&
        pull->slots[slot].launcher_pid == MyProcPid)
      worker_slot_leave(pull, slot, kSlotLost);
  }
}

static void wait_for_processes(SharedPull *pull, const OwnWorkers *own) {
  for (int index = 0; index < own->count; index++)
    while (!background_has_ended(own->handles[index]))
      waiting_session_wait_turn(pull);
  give_up_unstarted(pull, own);
}

static bool has_work_left(SharedPull *pull) {
  return mailbox_stop(pull) == kStopNone && pull->coordinator_pid != 0 &&
         worker_slots_any_unclaimed(pull);
}

static bool may_wait_longer(TimestampTz since) {
  constexpr int kLeastS = 2; // processes that end, or are asked to, take a moment
  return GetCurrentTimestamp() - since < Max(setting_retry_budget_s, kLeastS) * INT64CONST(1000000);
}

// The coordinator, which sees who waits, asks failed pulls that are held to give way.  Returns
// false when none was free for too long.
static bool wait_for_slot(const WorkPlace *place, int wanted, OwnWorkers *own) {
  constexpr long kStepMs = 100;
  SharedPull *pull = place->pull;
  begin_waiting(pull);
  // While others move the pull, or nobody is to, there is time.
  for (TimestampTz since = GetCurrentTimestamp(); own->count == 0 && has_work_left(pull);) {
    waiting_session_wait_turn(pull, kStepMs);
    start_workers(place, wanted, own);
    const bool is_moving =
        worker_slots_any_running(pull) || pg_atomic_read_u32(&pull->is_paused) != 0;
    if (is_moving)
      since = GetCurrentTimestamp();
    else if (!may_wait_longer(since))
      break;
  }
  end_waiting(pull);
  return own->count > 0 || !has_work_left(pull);
}

// Unless it is the pull that has ended.
static void raise_own_error(const WorkPlace *place) {
  ErrorReport report;
  if (!mailbox_is_stop_posted(place->pull) && shared_session_error(place->session, &report))
    error_report_raise(&report);
}

// A worker that was killed is replaced; the coordinator ends the pull when that happens too often.
// Returns false when no slot was free for too long.
static bool bring_workers(const WorkPlace *place, int wanted, OwnWorkers *own) {
  SharedPull *pull = place->pull;
  for (bool is_first = true; wanted > 0; is_first = false) {
    own->count = 0;
    pg_atomic_write_u32(&place->session->workers_through, 0);
    start_workers(place, wanted, own);
    if (is_first && has_work_left(pull))
      waiting_session_report_workers(own->count, wanted);
    if (own->count == 0 && !wait_for_slot(place, wanted, own))
      return false;
    wait_for_processes(pull, own);
    raise_own_error(place);
    wanted = own->count - static_cast<int>(pg_atomic_read_u32(&place->session->workers_through));
    if (wanted <= 0 || !has_work_left(pull))
      return true;
    waiting_session_wait_turn(pull);
  }
  return true;
}

void work_session_raise_error(SharedPull *pull, int64 pull_id) {
  if (!mailbox_is_stop_posted(pull))
    return;
  work_session_wait_for_end(pull);
  ErrorReport report;
  if (shared_pull_error(pull, &report))
    error_report_raise(&report);
  work_session_raise_interrupted(pull_id);
}

void work_session_raise_interrupted(int64 pull_id) {
  ereport(ERROR,
          (errcode(ERRCODE_ADMIN_SHUTDOWN), errmsg("the coordinator of the pull was terminated"),
           errdetail("Pull " INT64_FORMAT " was interrupted.", pull_id)));
}

bool work_session_run(dsm_segment *segment, SharedPull *pull, const WorkRequest *request,
                      int64 pull_id, char *address, Size address_size, WorkResult *result) {
  pull_owner_require_connect(pull->owner);
  last_commit_ask(pull);
  const uint32 chunks_allowed =
      request->max_chunks > 0 ? static_cast<uint32>(request->max_chunks) : kNoChunkLimit;
  dsm_segment *work_segment = shared_session_create(chunks_allowed, pull_id, address, address_size);
  auto *session = static_cast<SharedSession *>(dsm_segment_address(work_segment));
  const WorkPlace place = {pull, session, dsm_segment_handle(segment),
                           dsm_segment_handle(work_segment)};
  auto *own = static_cast<OwnWorkers *>(palloc0(sizeof(OwnWorkers)));
  on_dsm_detach(segment, leave_workers_behind, Datum(0));

  if (pull_id == 0)
    pg_atomic_write_u32(&pull->has_run_workers, 1);
  const int wanted =
      request->max_chunks > 0 ? Min(request->workers, request->max_chunks) : request->workers;
  const bool had_slot = bring_workers(&place, wanted, own);
  work_session_raise_error(pull, pull_id != 0 ? pull_id : pull->pull_id);
  result->chunks += static_cast<int>(pg_atomic_read_u32(&session->chunks));
  result->rows += static_cast<int64>(pg_atomic_read_u64(&session->rows));
  result->bytes += static_cast<int64>(pg_atomic_read_u64(&session->bytes));
  cancel_on_dsm_detach(segment, leave_workers_behind, Datum(0));
  dsm_detach(work_segment);
  return had_slot;
}

void work_session_wait_for_plan(SharedPull *pull) {
  while (shared_pull_phase(pull) < kPhasePlanned && pull->coordinator_pid != 0)
    waiting_session_wait_turn(pull);
}

void work_session_wait_for_end(SharedPull *pull) {
  while (!shared_pull_has_ended(pull))
    waiting_session_wait_turn(pull);
  if (!mailbox_is_stop_posted(pull))
    last_commit_report(pull);
}

} // namespace parallel_loader
