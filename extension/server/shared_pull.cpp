// shared_pull: see shared_pull.hpp.
#include "extension/server/shared_pull.hpp"

#include <csignal>
#include <initializer_list>

extern "C" {
#include "storage/proc.h"
#include "storage/procarray.h"
}

namespace parallel_loader {

static constexpr uint32 kMagic = 0x504c3430; // "PL40": changes with the layout

static void init_slot(WorkerSlot *slot) {
  pg_atomic_init_u32(&slot->state, kSlotFree);
  pg_atomic_init_u32(&slot->is_told_to_stop, 0);
  pg_atomic_init_u32(&slot->is_surplus, 0);
  pg_atomic_init_u32(&slot->chunk, 0);
  pg_atomic_init_u32(&slot->is_read, 0);
  pg_atomic_init_u64(&slot->rows, 0);
  pg_atomic_init_u64(&slot->bytes, 0);
  pg_atomic_init_u32(&slot->source_pid, 0);
}

dsm_segment *shared_pull_create(Oid owner, Oid table, const char *order, Size order_size,
                                SharedPull **pull) {
  const Size size = offsetof(SharedPull, order) + order_size;
  dsm_segment *segment = dsm_create(size, 0);
  auto *shared = static_cast<SharedPull *>(dsm_segment_address(segment));
  memset(shared, 0, offsetof(SharedPull, order));
  pg_atomic_init_u32(&shared->phase, kPhaseStarting);
  pg_atomic_init_u32(&shared->stop, kStopNone);
  for (pg_atomic_uint32 *flag :
       {&shared->holds_snapshot, &shared->is_let_go, &shared->works_itself, &shared->workers_wanted,
        &shared->workers_started, &shared->workers_target, &shared->is_paused,
        &shared->limits_changed, &shared->has_joined})
    pg_atomic_init_u32(flag, 0);
  pg_atomic_init_u64(&shared->max_rate, 0);
  pg_atomic_init_u64(&shared->bytes_moved, 0);
  pg_atomic_init_u64(&shared->bytes_per_second, 0);
  SpinLockInit(&shared->mutex);
  for (WorkerSlot &slot : shared->slots)
    init_slot(&slot);
  shared->database = MyDatabaseId;
  shared->owner = owner;
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

// SIGINT is a query cancel to any of our processes: it ends what it waits for in the server.
static void interrupt_coordinator(const SharedPull *pull) {
  const int pid = pull->coordinator_pid;
  if (pid != 0 && pid != MyProcPid && BackendPidGetProc(pid) != nullptr)
    kill(pid, SIGINT);
}

void shared_pull_request_stop(SharedPull *pull, PullStop reason) {
  uint32 expected = kStopNone;
  if (pg_atomic_compare_exchange_u32(&pull->stop, &expected, reason) &&
      shared_pull_phase(pull) != kPhaseEnded)
    interrupt_coordinator(pull);
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

void shared_pull_set_waiting(SharedPull *pull, const char *text) {
  SpinLockAcquire(&pull->mutex);
  strlcpy(pull->waiting_for, text, sizeof(pull->waiting_for));
  SpinLockRelease(&pull->mutex);
}

} // namespace parallel_loader
