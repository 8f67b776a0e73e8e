// work_session: see work_session.hpp.
#include "extension/server/work_session.hpp"

#include "extension/server/background.hpp"
#include "extension/server/leader.hpp"
#include "extension/server/pull_owner.hpp"
#include "extension/server/shared_work.hpp"
#include "extension/server/worker_slots.hpp"

namespace parallel_loader {

struct OwnWorkers {
  int count;
  BackgroundWorkerHandle *handles[kMaxWorkers];
  int slots[kMaxWorkers];
};

// Runs when the statement fails, is cancelled, or the session ends.
static void leave_workers_behind(dsm_segment *segment, Datum /*unused*/) {
  worker_slots_stop(static_cast<SharedPull *>(dsm_segment_address(segment)), MyProcPid);
}

static void start_workers(dsm_segment *segment, SharedPull *pull, dsm_segment *work, int wanted,
                          OwnWorkers *own) {
  while (own->count < wanted) {
    WorkerArgs args = {dsm_segment_handle(segment), dsm_segment_handle(work), -1};
    BackgroundWorkerHandle *handle = background_start_in_slot(pull, &args);
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
      leader_wait_turn(pull);
  give_up_unstarted(pull, own);
}

// A worker that was killed is replaced; the coordinator ends the pull when that happens too often.
static void wait_for_workers(dsm_segment *segment, SharedPull *pull, dsm_segment *work_segment,
                             OwnWorkers *own) {
  auto *work = static_cast<SharedWork *>(dsm_segment_address(work_segment));
  for (;;) {
    wait_for_processes(pull, own);
    const int lost = own->count - static_cast<int>(pg_atomic_read_u32(&work->workers_through));
    if (lost <= 0 || shared_pull_stop_reason(pull) != kStopNone ||
        !worker_slots_any_unclaimed(pull))
      return;
    leader_wait_turn(pull);
    own->count = 0;
    pg_atomic_write_u32(&work->workers_through, 0);
    start_workers(segment, pull, work_segment, lost, own);
  }
}

// No worker slot is free: the coordinator, which has one, does the work.
static void wait_for_coordinator_to_work(SharedPull *pull) {
  pg_atomic_write_u32(&pull->works_itself, 1);
  shared_pull_wake(pull->coordinator_pid);
  while (pg_atomic_read_u32(&pull->works_itself) != 0 && pull->coordinator_pid != 0)
    leader_wait_turn(pull);
}

static void raise_error(SharedPull *pull) {
  if (shared_pull_stop_reason(pull) == kStopNone)
    return;
  work_session_wait_for_end(pull);
  ErrorReport report;
  if (shared_pull_error(pull, &report))
    error_report_raise(&report);
  ereport(ERROR,
          (errcode(ERRCODE_ADMIN_SHUTDOWN), errmsg("the coordinator of the pull was terminated"),
           errdetail("Pull " INT64_FORMAT " was interrupted.", pull->pull_id)));
}

WorkResult work_session_run(dsm_segment *segment, SharedPull *pull, const WorkRequest *request,
                            const char *address, Size address_size) {
  pull_owner_require_connect(pull->owner);
  const uint32 chunks_allowed =
      request->max_chunks > 0 ? static_cast<uint32>(request->max_chunks) : kNoChunkLimit;
  dsm_segment *work_segment = shared_work_create(chunks_allowed, address, address_size);
  auto *work = static_cast<SharedWork *>(dsm_segment_address(work_segment));
  auto *own = static_cast<OwnWorkers *>(palloc0(sizeof(OwnWorkers)));
  on_dsm_detach(segment, leave_workers_behind, Datum(0));

  const PullCounts before = worker_slots_counts(pull);
  const int wanted =
      request->max_chunks > 0 ? Min(request->workers, request->max_chunks) : request->workers;
  start_workers(segment, pull, work_segment, wanted, own);
  leader_report_workers(own->count, wanted);
  WorkResult result = {};
  if (own->count > 0) {
    wait_for_workers(segment, pull, work_segment, own);
    result.chunks = static_cast<int>(pg_atomic_read_u32(&work->chunks));
    result.rows = static_cast<int64>(pg_atomic_read_u64(&work->rows));
    result.bytes = static_cast<int64>(pg_atomic_read_u64(&work->bytes));
  } else {
    wait_for_coordinator_to_work(pull);
    const PullCounts after = worker_slots_counts(pull);
    result = {after.chunks_done - before.chunks_done, after.rows - before.rows,
              after.bytes - before.bytes, 0};
  }
  raise_error(pull);
  cancel_on_dsm_detach(segment, leave_workers_behind, Datum(0));
  dsm_detach(work_segment);
  return result;
}

void work_session_wait_for_plan(SharedPull *pull) {
  while (shared_pull_phase(pull) < kPhasePlanned && pull->coordinator_pid != 0)
    leader_wait_turn(pull);
}

void work_session_wait_for_end(SharedPull *pull) {
  while (shared_pull_phase(pull) != kPhaseEnded && pull->coordinator_pid != 0)
    leader_wait_turn(pull);
}

} // namespace parallel_loader
