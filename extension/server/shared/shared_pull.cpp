#include "extension/server/shared/shared_pull.hpp"

#include <initializer_list>

#include "extension/server/shared/mailbox.hpp"
#include "extension/server/sql/spi.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "storage/proc.h"
#include "storage/procarray.h"
}

namespace parallel_loader {

static constexpr uint32 kMagic = 0x504c3036; // "PL06": changes with the layout

static void init_slot(WorkerSlot *slot) {
  pg_atomic_init_u32(&slot->state, kSlotFree);
  pg_atomic_init_u32(&slot->is_told_to_stop, 0);
  pg_atomic_init_u32(&slot->is_surplus, 0);
  pg_atomic_init_u32(&slot->is_launcher_gone, 0);
  pg_atomic_init_u32(&slot->has_lock, 0);
  pg_atomic_init_u32(&slot->chunk, 0);
  pg_atomic_init_u32(&slot->is_read, 0);
  pg_atomic_init_u64(&slot->rows, 0);
  pg_atomic_init_u64(&slot->bytes, 0);
  pg_atomic_init_u32(&slot->source_pid, 0);
}

dsm_segment *shared_pull_create(Oid owner, Oid table, const char *request, Size request_size,
                                SharedPull **pull) {
  const Size size = offsetof(SharedPull, request.bytes) + request_size;
  dsm_segment *segment = dsm_create(size, 0);
  auto *shared = static_cast<SharedPull *>(dsm_segment_address(segment));
  memset(shared, 0, offsetof(SharedPull, request.bytes));
  pg_atomic_init_u32(&shared->phase, kPhaseStarting);
  pg_atomic_init_u32(&shared->stop, kStopNone);
  for (pg_atomic_uint32 *flag :
       {&shared->holds_snapshot, &shared->needs_background_slot, &shared->slot_waiters,
        &shared->workers_wanted, &shared->workers_started, &shared->workers_allowed,
        &shared->is_paused, &shared->has_joined, &shared->is_closing, &shared->is_unreplicated,
        &shared->awaits_plans, &shared->has_run_workers, &shared->pull_count})
    pg_atomic_init_u32(flag, 0);
  pg_atomic_init_u64(&shared->max_rate, 0);
  pg_atomic_init_u64(&shared->bytes_moved, 0);
  pg_atomic_init_u64(&shared->bytes_per_second, 0);
  pg_atomic_init_u64(&shared->given_up_at, 0);
  pg_atomic_init_u64(&shared->hold_ends, 0);
  pg_atomic_init_u64(&shared->lock_refused_at, 0);
  pg_atomic_init_u32(&shared->waiting_version, 0);
  pg_atomic_init_u32(&shared->error_state, kErrorNone);
  mailbox_init(&shared->mail);
  SpinLockInit(&shared->mutex);
  for (WorkerSlot &slot : shared->slots)
    init_slot(&slot);
  shared->database = MyDatabaseId;
  shared->owner = owner;
  shared->table = table;
  shared->ledger = spi_ledger();
  secret_bytes_init(&shared->request, request, request_size);
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
  if (dsm_segment_map_length(segment) < offsetof(SharedPull, request.bytes) ||
      shared->magic != kMagic ||
      shared->database != (OidIsValid(MyDatabaseId) ? MyDatabaseId : shared->database)) {
    if (*is_new_mapping)
      dsm_detach(segment);
    return nullptr;
  }
  *pull = shared;
  return segment;
}

void shared_pull_wake(int pid) noexcept {
  PGPROC *proc = pid != 0 ? BackendPidGetProc(pid) : nullptr;
  if (proc != nullptr)
    SetLatch(&proc->procLatch);
}

void shared_pull_wake_launchers(SharedPull *pull) {
  shared_pull_wake(pull->waiting_pid);
  for (const WorkerSlot &slot : pull->slots)
    if (slot.launcher_pid != 0 && slot.launcher_pid != pull->coordinator_pid)
      shared_pull_wake(slot.launcher_pid);
}

void shared_pull_enter_phase(SharedPull *pull, PullPhase phase) {
  pg_write_barrier();
  pg_atomic_write_u32(&pull->phase, phase);
  shared_pull_wake_launchers(pull);
}

PullPhase shared_pull_phase(const SharedPull *pull) noexcept {
  const auto phase =
      static_cast<PullPhase>(pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&pull->phase)));
  pg_read_barrier();
  return phase;
}

bool shared_pull_has_ended(const SharedPull *pull) noexcept {
  return shared_pull_phase(pull) == kPhaseEnded || pull->coordinator_pid == 0;
}

// The writer copies 19 kB and is then through; it cannot be ended in between.
static ErrorState settled_error_state(SharedPull *pull) noexcept {
  constexpr long kStepUs = 100;
  for (;;) {
    const auto state = static_cast<ErrorState>(pg_atomic_read_u32(&pull->error_state));
    if (state != kErrorWriting)
      return state;
    pg_usleep(kStepUs);
  }
}

// The process with the first error gives the reason, too; the others leave both to it.
void shared_pull_keep_error(SharedPull *pull, const ErrorReport *report, int64 pull_id) noexcept {
  uint32 state = kErrorNone;
  if (pg_atomic_compare_exchange_u32(&pull->error_state, &state, kErrorWriting)) {
    pull->error = *report;
    pull->error_pull_id = pull_id;
    error_report_detach(&pull->error);
    pg_write_barrier();
    pg_atomic_write_u32(&pull->error_state, kErrorWritten);
  } else {
    settled_error_state(pull);
  }
}

void shared_pull_replace_error(SharedPull *pull, const ErrorReport *report) noexcept {
  settled_error_state(pull);
  pg_atomic_write_u32(&pull->error_state, kErrorWriting);
  pull->error = *report;
  error_report_detach(&pull->error);
  pull->error_pull_id = 0;
  pg_write_barrier();
  pg_atomic_write_u32(&pull->error_state, kErrorWritten);
}

// One pull of a run may have left its error there before: the end of all has none then.
void shared_pull_fail(SharedPull *pull, const ErrorReport *report, PullStop reason) noexcept {
  shared_pull_keep_error(pull, report, 0);
  mailbox_post_stop(pull, reason);
}

bool shared_pull_error(SharedPull *pull, ErrorReport *report) noexcept {
  if (settled_error_state(pull) != kErrorWritten)
    return false;
  pg_read_barrier();
  *report = pull->error;
  return true;
}

// One process writes, others read and look afterwards whether it wrote meanwhile.
void shared_pull_set_waiting(SharedPull *pull, const char *text) noexcept {
  pg_atomic_fetch_add_u32(&pull->waiting_version, 1);
  strlcpy(pull->waiting_for, text, sizeof(pull->waiting_for));
  pg_write_barrier();
  pg_atomic_fetch_add_u32(&pull->waiting_version, 1);
}

void shared_pull_waiting(SharedPull *pull, char *text) noexcept {
  constexpr long kStepUs = 100;
  for (;;) {
    const uint32 before = pg_atomic_read_u32(&pull->waiting_version);
    pg_read_barrier();
    memcpy(text, pull->waiting_for, kWaitTextSize);
    pg_read_barrier();
    if (before % 2 == 0 && pg_atomic_read_u32(&pull->waiting_version) == before)
      return;
    pg_usleep(kStepUs);
  }
}

void shared_pull_copy_notice(char *buffer, const char *text) {
  const int size = pg_mbcliplen(text, static_cast<int>(strlen(text)), kNoticeSize - 1);
  memcpy(buffer, text, static_cast<size_t>(size));
  buffer[size] = '\0';
}

void shared_pull_set_notice(SharedPull *pull, const char *message, const char *hint) {
  shared_pull_copy_notice(pull->notice, message);
  shared_pull_copy_notice(pull->notice_hint, hint);
}

} // namespace parallel_loader
