#include "extension/server/shared/worker_slots.hpp"

#include <csignal>

#include "extension/server/shared/blockers.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"
}

namespace parallel_loader {

// From here on nobody else writes the slot, until it is reserved.
static bool take_if_free(WorkerSlot *slot) {
  uint32 state = kSlotFree;
  return pg_atomic_read_u32(&slot->state) == kSlotFree &&
         pg_atomic_compare_exchange_u32(&slot->state, &state, kSlotTaken);
}

int worker_slot_reserve(SharedPull *pull, int launcher_pid) {
  for (int index = 0; index < kMaxWorkers; index++) {
    WorkerSlot *slot = &pull->slots[index];
    if (!take_if_free(slot))
      continue;
    pg_atomic_write_u32(&slot->is_told_to_stop, 0);
    pg_atomic_write_u32(&slot->is_surplus, 0);
    pg_atomic_write_u32(&slot->is_launcher_gone, 0);
    pg_atomic_write_u32(&slot->chunk, 0);
    pg_atomic_write_u32(&slot->source_pid, 0);
    pg_atomic_write_u32(&slot->has_lock, 0);
    slot->launcher_pid = launcher_pid;
    slot->pid = 0;
    slot->generation++;
    pg_write_barrier();
    pg_atomic_write_u32(&slot->state, kSlotReserved);
    return index;
  }
  return -1;
}

bool worker_slot_enter(SharedPull *pull, int index, uint32 generation) {
  WorkerSlot *slot = &pull->slots[index];
  uint32 state = kSlotReserved;
  if (slot->generation != generation ||
      !pg_atomic_compare_exchange_u32(&slot->state, &state, kSlotTaken))
    return false;
  slot->pid = MyProcPid;
  slot->proc_number = own_process_number();
  pg_write_barrier();
  pg_atomic_write_u32(&slot->state, kSlotRunning);
  pg_atomic_write_u32(&pull->has_joined, 1);
  shared_pull_wake(pull->coordinator_pid);
  return true;
}

// A launcher that has ended waits for nobody; its worker, should it still come, finds that the slot
// is another's.
void worker_slots_free_forgotten(SharedPull *pull) {
  for (WorkerSlot &slot : pull->slots) {
    uint32 state = kSlotReserved;
    if (pg_atomic_read_u32(&slot.state) == kSlotReserved &&
        BackendPidGetProc(slot.launcher_pid) == nullptr &&
        pg_atomic_compare_exchange_u32(&slot.state, &state, kSlotTaken)) {
      slot.generation++;
      pg_atomic_write_u32(&slot.state, kSlotFree);
    }
  }
}

// Under the mutex: the slot's chunk, if any, is with nobody again, and nothing of it is in flight.
static void clear_in_flight(SharedPull *pull, WorkerSlot *slot) noexcept {
  if (pg_atomic_read_u32(&slot->chunk) != 0 && pg_atomic_read_u32(&slot->state) == kSlotRunning) {
    pull->counts.chunks_claimed--;
    pull->counts.chunks_read -= static_cast<int>(pg_atomic_read_u32(&slot->is_read));
  }
  pg_atomic_write_u32(&slot->is_read, 0);
  pg_atomic_write_u64(&slot->rows, 0);
  pg_atomic_write_u64(&slot->bytes, 0);
}

void worker_slot_leave(SharedPull *pull, int index, SlotState state) noexcept {
  WorkerSlot *slot = &pull->slots[index];
  const int launcher_pid = slot->launcher_pid;
  SpinLockAcquire(&pull->mutex);
  clear_in_flight(pull, slot);
  if (state == kSlotFree)
    pg_atomic_write_u32(&slot->chunk, 0);
  pg_atomic_write_u32(&slot->source_pid, 0);
  pg_atomic_write_u32(&slot->has_lock, 0);
  slot->pid = 0;
  pg_atomic_write_u32(&slot->state, state);
  SpinLockRelease(&pull->mutex);
  shared_pull_wake(pull->coordinator_pid);
  shared_pull_wake(launcher_pid);
}

// Wakes nobody: whoever looks for room again and again would wake itself.
void worker_slot_return(SharedPull *pull, int index) noexcept {
  pg_atomic_write_u32(&pull->slots[index].state, kSlotFree);
}

SlotState worker_slot_state(const SharedPull *pull, int slot) noexcept {
  return static_cast<SlotState>(
      pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&pull->slots[slot].state)));
}

bool worker_slots_any_used(const SharedPull *pull) noexcept {
  for (int slot = 0; slot < kMaxWorkers; slot++) {
    const SlotState state = worker_slot_state(pull, slot);
    const bool is_awaited =
        state == kSlotReserved && BackendPidGetProc(pull->slots[slot].launcher_pid) != nullptr;
    if (is_awaited || state == kSlotRunning || state == kSlotTaken)
      return true;
  }
  return false;
}

bool worker_slots_any_running(const SharedPull *pull) noexcept {
  for (int slot = 0; slot < kMaxWorkers; slot++)
    if (worker_slot_state(pull, slot) == kSlotRunning)
      return true;
  return false;
}

static void signal_worker(int pid, int signal) {
  if (pid != 0 && pid != MyProcPid && BackendPidGetProc(pid) != nullptr)
    kill(pid, signal);
}

static bool has_worker(WorkerSlot *slot) {
  const auto state = static_cast<SlotState>(pg_atomic_read_u32(&slot->state));
  return state == kSlotReserved || state == kSlotRunning;
}

static void stop_worker(WorkerSlot *slot) {
  pg_atomic_write_u32(&slot->is_told_to_stop, kOrderStop);
  signal_worker(slot->pid, SIGINT); // a query cancel: it ends what the worker waits for
}

void worker_slots_stop(SharedPull *pull) {
  for (WorkerSlot &slot : pull->slots)
    if (has_worker(&slot))
      stop_worker(&slot);
}

void worker_slots_stop_left(SharedPull *pull) {
  for (WorkerSlot &slot : pull->slots)
    if (pg_atomic_read_u32(&slot.is_launcher_gone) != 0 &&
        pg_atomic_read_u32(&slot.is_told_to_stop) != kOrderStop && has_worker(&slot))
      stop_worker(&slot);
}

void worker_slots_leave_behind(SharedPull *pull) {
  for (WorkerSlot &slot : pull->slots)
    if (slot.launcher_pid == MyProcPid && has_worker(&slot))
      pg_atomic_write_u32(&slot.is_launcher_gone, 1);
  shared_pull_wake(pull->coordinator_pid);
}

bool worker_slots_any_left(SharedPull *pull) {
  for (WorkerSlot &slot : pull->slots)
    if (slot.launcher_pid == MyProcPid && pg_atomic_read_u32(&slot.is_launcher_gone) != 0 &&
        pg_atomic_read_u32(&slot.is_told_to_stop) != kOrderStop && has_worker(&slot))
      return true;
  return false;
}

void worker_slots_terminate(SharedPull *pull) {
  for (const WorkerSlot &slot : pull->slots)
    signal_worker(slot.pid, SIGTERM);
}

int worker_slots_count_at(SharedPull *pull, int64 pull_id) noexcept {
  int count = 0;
  for (WorkerSlot &slot : pull->slots)
    if (pg_atomic_read_u32(&slot.state) == kSlotRunning && pg_atomic_read_u32(&slot.chunk) != 0 &&
        slot.pull_id == pull_id)
      count++;
  return count;
}

// The signal comes before the order is given whole: the worker that has seen it whole knows that no
// signal is still to come, and that a cancel is nobody's wish.
void worker_slots_stop_pull(SharedPull *pull, int64 pull_id) {
  for (WorkerSlot &slot : pull->slots) {
    if (pg_atomic_read_u32(&slot.state) != kSlotRunning || pg_atomic_read_u32(&slot.chunk) == 0 ||
        slot.pull_id != pull_id)
      continue;
    uint32 none = kOrderNone;
    if (!pg_atomic_compare_exchange_u32(&slot.is_told_to_stop, &none, kOrderBeingGiven))
      continue;
    signal_worker(slot.pid, SIGINT);
    uint32 given = kOrderBeingGiven;
    pg_atomic_compare_exchange_u32(&slot.is_told_to_stop, &given, kOrderLeavePull);
    shared_pull_wake(slot.pid);
  }
}

bool worker_slot_is_to_leave_pull(const WorkerSlot *slot) noexcept {
  const uint32 order = pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&slot->is_told_to_stop));
  return order == kOrderBeingGiven || order == kOrderLeavePull;
}

void worker_slot_left_pull(WorkerSlot *slot) {
  constexpr long kStepUs = 200;
  constexpr int kSteps = 5000; // should the coordinator die in between, all are stopped
  for (int step = 0; step < kSteps; step++) {
    pg_usleep(kStepUs); // in which the signal's handler runs
    uint32 order = kOrderLeavePull;
    if (pg_atomic_compare_exchange_u32(&slot->is_told_to_stop, &order, kOrderNone) ||
        order != kOrderBeingGiven)
      break;
  }
  QueryCancelPending = false;
}

void worker_slots_wake_idle(SharedPull *pull) {
  for (const WorkerSlot &slot : pull->slots)
    if (pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&slot.state)) == kSlotRunning &&
        pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&slot.chunk)) == 0)
      shared_pull_wake(slot.pid);
}

void worker_slots_add_chunks(SharedPull *pull, int chunks, int64 estimate) noexcept {
  SpinLockAcquire(&pull->mutex);
  pull->counts.chunks += chunks;
  pull->counts.estimate_all += estimate;
  SpinLockRelease(&pull->mutex);
}

void worker_slots_drop_chunks(SharedPull *pull, int chunks, int64 estimate) noexcept {
  worker_slots_add_chunks(pull, -chunks, -estimate);
}

void worker_slot_begin_chunk(SharedPull *pull, int index, int64 pull_id, int chunk,
                             int64 estimate) noexcept {
  WorkerSlot *slot = &pull->slots[index];
  const TimestampTz now = GetCurrentTimestamp();
  SpinLockAcquire(&pull->mutex);
  slot->estimate = estimate;
  slot->begun_at = now;
  slot->pull_id = pull_id;
  pg_atomic_write_u32(&slot->is_read, 0);
  pg_atomic_write_u64(&slot->rows, 0);
  pg_atomic_write_u64(&slot->bytes, 0);
  pg_atomic_write_u32(&slot->chunk, static_cast<uint32>(chunk));
  pull->counts.chunks_claimed++;
  SpinLockRelease(&pull->mutex);
}

void worker_slot_chunk_read(SharedPull *pull, int index) noexcept {
  SpinLockAcquire(&pull->mutex);
  pg_atomic_write_u32(&pull->slots[index].is_read, 1);
  pull->counts.chunks_read++;
  SpinLockRelease(&pull->mutex);
  if (!worker_slots_any_unread(pull))
    shared_pull_wake(pull->coordinator_pid);
}

void worker_slot_chunk_done(SharedPull *pull, int index, int64 rows, int64 bytes) noexcept {
  WorkerSlot *slot = &pull->slots[index];
  SpinLockAcquire(&pull->mutex);
  clear_in_flight(pull, slot);
  pg_atomic_write_u32(&slot->chunk, 0);
  pull->counts.chunks_done++;
  pull->counts.rows += rows;
  pull->counts.bytes += bytes;
  pull->counts.estimate_done += slot->estimate;
  pull->trouble_since = 0;
  SpinLockRelease(&pull->mutex);
  shared_pull_wake(pull->coordinator_pid);
}

void worker_slot_chunk_dropped(SharedPull *pull, int index) noexcept {
  WorkerSlot *slot = &pull->slots[index];
  SpinLockAcquire(&pull->mutex);
  clear_in_flight(pull, slot);
  pg_atomic_write_u32(&slot->chunk, 0);
  SpinLockRelease(&pull->mutex);
  shared_pull_wake(pull->coordinator_pid);
}

int64 worker_slot_chunk_failed(SharedPull *pull, int index, bool is_retry) noexcept {
  WorkerSlot *slot = &pull->slots[index];
  const TimestampTz now = GetCurrentTimestamp();
  SpinLockAcquire(&pull->mutex);
  clear_in_flight(pull, slot);
  pg_atomic_write_u32(&slot->chunk, 0);
  if (pull->trouble_since == 0 || pg_atomic_read_u32(&pull->is_paused) != 0)
    pull->trouble_since = now;
  const TimestampTz since = pull->trouble_since;
  if (is_retry)
    pull->counts.retries++;
  SpinLockRelease(&pull->mutex);
  shared_pull_wake(pull->coordinator_pid);
  return (now - since) / 1000;
}

PullCounts worker_slots_counts(SharedPull *pull) noexcept {
  SpinLockAcquire(&pull->mutex);
  const PullCounts counts = pull->counts;
  SpinLockRelease(&pull->mutex);
  return counts;
}

bool worker_slots_any_unread(SharedPull *pull) noexcept {
  const PullCounts counts = worker_slots_counts(pull);
  return counts.chunks_done + counts.chunks_read < counts.chunks;
}

bool worker_slots_any_undone(SharedPull *pull) noexcept {
  const PullCounts counts = worker_slots_counts(pull);
  return counts.chunks_done < counts.chunks;
}

bool worker_slots_any_unclaimed(SharedPull *pull) noexcept {
  const PullCounts counts = worker_slots_counts(pull);
  return counts.chunks_done + counts.chunks_claimed < counts.chunks;
}

bool worker_slots_any_without_lock(SharedPull *pull, int own) noexcept {
  for (int index = 0; index < kMaxWorkers; index++) {
    WorkerSlot *slot = &pull->slots[index];
    if (index != own && pg_atomic_read_u32(&slot->state) == kSlotRunning &&
        slot->pull_id == pull->slots[own].pull_id && pg_atomic_read_u32(&slot->chunk) != 0 &&
        pg_atomic_read_u32(&slot->is_read) == 0 && pg_atomic_read_u32(&slot->has_lock) == 0)
      return true;
  }
  return false;
}

// How much of the work is done.  The plan's estimates are sizes on the source's disk; what the done
// chunks had of bytes for theirs tells how many to expect of those in flight.
static double fraction_done(const PullCounts *counts, double in_flight) noexcept {
  if (counts->chunks == 0 || counts->chunks_done == counts->chunks)
    return counts->chunks == 0 ? 0 : 1;
  return Min(1, (static_cast<double>(counts->estimate_done) + in_flight) /
                    static_cast<double>(Max(counts->estimate_all, 1)));
}

static double bytes_per_estimate(const PullCounts *counts) noexcept {
  return counts->estimate_done > 0 ? static_cast<double>(Max(counts->bytes, 1)) /
                                         static_cast<double>(counts->estimate_done)
                                   : 1;
}

// A chunk that is done is taken out of its slot and added to the totals at once, so totals that
// were read before the slots miss it at the worst, and never have it twice.
static PullProgress measure(SharedPull *pull) noexcept {
  const PullCounts counts = worker_slots_counts(pull);
  PullProgress now = {counts.rows, counts.bytes, 0, 0};
  const double ratio = bytes_per_estimate(&counts);
  double in_flight = 0;
  for (WorkerSlot &slot : pull->slots) {
    if (pg_atomic_read_u32(&slot.state) != kSlotRunning)
      continue;
    const auto bytes = static_cast<int64>(pg_atomic_read_u64(&slot.bytes));
    now.rows += static_cast<int64>(pg_atomic_read_u64(&slot.rows));
    now.bytes += bytes;
    now.workers++;
    if (pg_atomic_read_u32(&slot.chunk) != 0)
      in_flight += Min(static_cast<double>(slot.estimate), static_cast<double>(bytes) / ratio);
  }
  now.fraction = fraction_done(&counts, in_flight);
  return now;
}

PullProgress worker_slots_progress(SharedPull *pull) noexcept {
  const PullProgress now = measure(pull);
  SpinLockAcquire(&pull->mutex);
  PullProgress *shown = &pull->shown;
  shown->rows = Max(shown->rows, now.rows);
  shown->bytes = Max(shown->bytes, now.bytes);
  shown->fraction = Max(shown->fraction, now.fraction);
  shown->workers = now.workers;
  const PullProgress result = *shown;
  SpinLockRelease(&pull->mutex);
  return result;
}

} // namespace parallel_loader
