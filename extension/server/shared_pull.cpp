// shared_pull: see shared_pull.hpp.
#include "extension/server/shared_pull.hpp"

#include <csignal>

extern "C" {
#include "storage/proc.h"
#include "storage/procarray.h"
}

namespace parallel_loader {

static constexpr uint32 kMagic = 0x504c3031; // "PL01": changes with the layout

static void init_slot(WorkerSlot *slot) {
  pg_atomic_init_u32(&slot->state, kSlotFree);
  pg_atomic_init_u32(&slot->is_told_to_stop, 0);
  pg_atomic_init_u32(&slot->chunk, 0);
  pg_atomic_init_u64(&slot->rows, 0);
  pg_atomic_init_u64(&slot->bytes, 0);
}

dsm_segment *shared_pull_create(Oid table, const char *order, Size order_size, SharedPull **pull) {
  const Size size = offsetof(SharedPull, order) + order_size;
  dsm_segment *segment = dsm_create(size, 0);
  auto *shared = static_cast<SharedPull *>(dsm_segment_address(segment));
  memset(shared, 0, offsetof(SharedPull, order));
  pg_atomic_init_u32(&shared->phase, kPhaseStarting);
  pg_atomic_init_u32(&shared->stop, kStopNone);
  pg_atomic_init_u32(&shared->works_itself, 0);
  pg_atomic_init_u32(&shared->workers_wanted, 0);
  pg_atomic_init_u32(&shared->workers_started, 0);
  pg_atomic_init_u32(&shared->has_joined, 0);
  pg_atomic_init_u64(&shared->rows_done, 0);
  pg_atomic_init_u64(&shared->bytes_done, 0);
  pg_atomic_init_u32(&shared->chunks_done, 0);
  SpinLockInit(&shared->mutex);
  for (WorkerSlot &slot : shared->slots)
    init_slot(&slot);
  shared->database = MyDatabaseId;
  shared->session_user = GetSessionUserId();
  shared->owner = GetUserId();
  shared->table = table;
  shared->order_size = order_size;
  memcpy(shared->order, order, order_size);
  shared->magic = kMagic;
  *pull = shared;
  return segment;
}

dsm_segment *shared_pull_attach(dsm_handle handle, SharedPull **pull, bool *is_new_mapping) {
  dsm_segment *segment = dsm_find_mapping(handle);
  *is_new_mapping = segment == nullptr;
  if (segment == nullptr)
    segment = dsm_attach(handle);
  if (segment == nullptr)
    return nullptr;
  auto *shared = static_cast<SharedPull *>(dsm_segment_address(segment));
  // A handle read from the ledger may be stale, and its number in use by somebody else's segment.
  if (dsm_segment_map_length(segment) < offsetof(SharedPull, order) || shared->magic != kMagic ||
      shared->database != (OidIsValid(MyDatabaseId) ? MyDatabaseId : shared->database)) {
    if (*is_new_mapping)
      dsm_detach(segment);
    return nullptr;
  }
  *pull = shared;
  return segment;
}

void shared_pull_wake(int pid) {
  PGPROC *proc = pid != 0 ? BackendPidGetProc(pid) : nullptr;
  if (proc != nullptr)
    SetLatch(&proc->procLatch);
}

static void wake_launchers(SharedPull *pull) {
  shared_pull_wake(pull->leader_pid);
  for (const WorkerSlot &slot : pull->slots)
    if (slot.launcher_pid != 0 && slot.launcher_pid != pull->coordinator_pid)
      shared_pull_wake(slot.launcher_pid);
}

void shared_pull_enter_phase(SharedPull *pull, PullPhase phase) {
  pg_write_barrier();
  pg_atomic_write_u32(&pull->phase, phase);
  wake_launchers(pull);
}

PullPhase shared_pull_phase(const SharedPull *pull) {
  const auto phase =
      static_cast<PullPhase>(pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&pull->phase)));
  pg_read_barrier();
  return phase;
}

PullStop shared_pull_stop_reason(const SharedPull *pull) {
  return static_cast<PullStop>(pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&pull->stop)));
}

// SIGINT is a query cancel to any of our processes: it ends what they wait for in the server.
static void interrupt(int pid, int signal = SIGINT) {
  if (pid != 0 && pid != MyProcPid && BackendPidGetProc(pid) != nullptr)
    kill(pid, signal);
}

void shared_pull_request_stop(SharedPull *pull, PullStop reason) {
  uint32 expected = kStopNone;
  if (pg_atomic_compare_exchange_u32(&pull->stop, &expected, reason) &&
      shared_pull_phase(pull) != kPhaseEnded)
    interrupt(pull->coordinator_pid);
}

void shared_pull_fail(SharedPull *pull, const ErrorReport *report, PullStop reason) {
  SpinLockAcquire(&pull->mutex);
  const bool is_first = !pull->has_error;
  if (is_first) {
    pull->error = *report;
    pull->has_error = true;
  }
  SpinLockRelease(&pull->mutex);
  uint32 expected = kStopNone;
  pg_atomic_compare_exchange_u32(&pull->stop, &expected, reason);
  shared_pull_wake(pull->coordinator_pid);
}

bool shared_pull_error(SharedPull *pull, ErrorReport *report) {
  SpinLockAcquire(&pull->mutex);
  const bool has_error = pull->has_error;
  if (has_error)
    *report = pull->error;
  SpinLockRelease(&pull->mutex);
  return has_error;
}

int shared_pull_reserve_slot(SharedPull *pull, int launcher_pid) {
  int found = -1;
  SpinLockAcquire(&pull->mutex);
  for (int index = 0; index < kMaxWorkers; index++) {
    WorkerSlot *slot = &pull->slots[index];
    if (pg_atomic_read_u32(&slot->state) == kSlotFree) {
      pg_atomic_write_u32(&slot->is_told_to_stop, 0);
      pg_atomic_write_u32(&slot->state, kSlotReserved);
      slot->launcher_pid = launcher_pid;
      slot->pid = 0;
      found = index;
      break;
    }
  }
  SpinLockRelease(&pull->mutex);
  return found;
}

void shared_pull_enter_slot(SharedPull *pull, int slot) {
  pull->slots[slot].pid = MyProcPid;
  pg_atomic_write_u32(&pull->slots[slot].state, kSlotRunning);
  pg_atomic_write_u32(&pull->has_joined, 1);
  shared_pull_wake(pull->coordinator_pid);
}

void shared_pull_leave_slot(SharedPull *pull, int index, SlotState state) {
  WorkerSlot *slot = &pull->slots[index];
  const int launcher_pid = slot->launcher_pid;
  pg_atomic_write_u32(&slot->chunk, 0);
  pg_atomic_write_u64(&slot->rows, 0);
  pg_atomic_write_u64(&slot->bytes, 0);
  slot->pid = 0;
  pg_atomic_write_u32(&slot->state, state);
  shared_pull_wake(pull->coordinator_pid);
  shared_pull_wake(launcher_pid);
}

SlotState shared_pull_slot_state(const SharedPull *pull, int slot) {
  return static_cast<SlotState>(
      pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&pull->slots[slot].state)));
}

bool shared_pull_has_workers(const SharedPull *pull) {
  for (int slot = 0; slot < kMaxWorkers; slot++) {
    const SlotState state = shared_pull_slot_state(pull, slot);
    const bool is_awaited =
        state == kSlotReserved && BackendPidGetProc(pull->slots[slot].launcher_pid) != nullptr;
    if (is_awaited || state == kSlotRunning)
      return true;
  }
  return false;
}

void shared_pull_stop_workers(SharedPull *pull, int launcher_pid) {
  for (WorkerSlot &slot : pull->slots) {
    const auto state = static_cast<SlotState>(pg_atomic_read_u32(&slot.state));
    if ((state == kSlotReserved || state == kSlotRunning) &&
        (launcher_pid == 0 || slot.launcher_pid == launcher_pid)) {
      pg_atomic_write_u32(&slot.is_told_to_stop, 1);
      interrupt(slot.pid);
    }
  }
}

void shared_pull_terminate_workers(SharedPull *pull) {
  for (const WorkerSlot &slot : pull->slots)
    interrupt(slot.pid, SIGTERM);
}

} // namespace parallel_loader
