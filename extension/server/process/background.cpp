#include "extension/server/process/background.hpp"

#include <csignal>

#include "extension/server/base/compat.hpp"
#include "extension/server/base/socket_wait.hpp"
#include "extension/server/process/pull_owner.hpp"
#include "extension/server/shared/mailbox.hpp"
#include "extension/server/shared/worker_slots.hpp"
#include "extension/server/sql/spi.hpp"

extern "C" {
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
}

namespace parallel_loader {

static void describe(BackgroundWorker *worker, const char *type, const char *function) {
  memset(worker, 0, sizeof(*worker));
  worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker->bgw_restart_time = BGW_NEVER_RESTART;
  worker->bgw_notify_pid = MyProcPid;
  strlcpy(worker->bgw_library_name, "parallel_loader", sizeof(worker->bgw_library_name));
  strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
  strlcpy(worker->bgw_name, type, sizeof(worker->bgw_name));
  strlcpy(worker->bgw_type, type, sizeof(worker->bgw_type));
}

BackgroundWorkerHandle *background_start_coordinator(dsm_handle pull) {
  BackgroundWorker worker;
  describe(&worker, kCoordinatorType, "parallel_loader_coordinator_main");
  worker.bgw_main_arg = UInt32GetDatum(pull);
  BackgroundWorkerHandle *handle = nullptr;
  return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : nullptr;
}

BackgroundWorkerHandle *background_start_in_slot(SharedPull *pull, WorkerArgs *args) {
  args->slot = worker_slot_reserve(pull, MyProcPid);
  if (args->slot < 0)
    return nullptr;
  args->generation = pull->slots[args->slot].generation;
  BackgroundWorker worker;
  describe(&worker, kWorkerType, "parallel_loader_worker_main");
  memcpy(worker.bgw_extra, args, sizeof(*args));
  BackgroundWorkerHandle *handle = nullptr;
  if (!RegisterDynamicBackgroundWorker(&worker, &handle)) {
    worker_slot_return(pull, args->slot);
    return nullptr;
  }
  return handle;
}

static bool signal_coordinator(int pid, int signal) {
  const char *type = GetBackgroundWorkerTypeByPid(pid);
  return type != nullptr && strcmp(type, kCoordinatorType) == 0 && kill(pid, signal) == 0;
}

bool background_cancel_coordinator(int pid) {
  return signal_coordinator(pid, SIGINT);
}

bool background_end_coordinator(int pid) {
  return signal_coordinator(pid, SIGTERM);
}

bool background_has_ended(BackgroundWorkerHandle *handle) {
  pid_t pid;
  const BgwHandleStatus status = GetBackgroundWorkerPid(handle, &pid);
  return status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED;
}

void background_await_end(BackgroundWorkerHandle *const *handles, size_t count) {
  constexpr long kStepMs = 5;
  constexpr long kPatienceMs = 2000;
  size_t ended = 0;
  for (long waited_ms = 0; waited_ms < kPatienceMs; waited_ms += kStepMs) {
    while (ended < count && background_has_ended(handles[ended]))
      ended++;
    if (ended == count)
      return;
    latch_sleep(kStepMs);
  }
}

static dsm_segment *pull_segment = nullptr;

SharedPull *background_attach(dsm_handle handle) {
  // The default handler of SIGTERM raises FATAL inside the signal handler, deadly within malloc.
  pqsignal(SIGTERM, die);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  BackgroundWorkerUnblockSignals();
  SharedPull *pull = nullptr;
  bool is_new_mapping;
  pull_segment = shared_pull_attach(handle, &pull, &is_new_mapping);
  if (pull_segment == nullptr)
    proc_exit(0);
  dsm_pin_mapping(pull_segment);
  return pull;
}

static SharedPull *pull_of(dsm_segment *segment) {
  return static_cast<SharedPull *>(dsm_segment_address(segment));
}

static void leave_slot_behind(dsm_segment *segment, Datum slot) {
  SharedPull *pull = pull_of(segment);
  const int index = DatumGetInt32(slot);
  if (pull->slots[index].pid == MyProcPid)
    worker_slot_leave(pull, index, kSlotLost);
}

int64 background_coordinator_id() {
  return pull_segment == nullptr ? 0 : pull_of(pull_segment)->coordinator_id;
}

void background_enter_slot(SharedPull *pull, const WorkerArgs *args) {
  if (!worker_slot_enter(pull, args->slot, args->generation))
    proc_exit(0);
  on_dsm_detach(pull_segment, leave_slot_behind, Int32GetDatum(args->slot));
}

static void abandon_pull(dsm_segment *segment, Datum /*unused*/) {
  SharedPull *pull = pull_of(segment);
  if (shared_pull_phase(pull) != kPhaseEnded) {
    mailbox_post_stop(pull, kStopCancelled);
    mailbox_take_stop(pull);
  }
  pull->coordinator_pid = 0;
  secret_bytes_wipe(&pull->request); // no worker may come any more
  shared_pull_wake(pull->waiting_pid);
}

void background_enter_coordinator(SharedPull *pull) {
  pull->coordinator_pid = MyProcPid;
  on_dsm_detach(pull_segment, abandon_pull, Datum(0));
}

// Without a role of its own the process begins as the bootstrap superuser, and may become anybody.
// What it becomes here is also what a RESET goes back to.  session_begin keeps others from a SET.
static void connect_without_login(const SharedPull *pull) {
  BackgroundWorkerInitializeConnectionByOid(pull->database, InvalidOid, 0);
  StartTransactionCommand(); // for catalogue look-ups; an error in it ends the process
  pull_owner_require_connect(pull->owner); // of superusers the server does not ask it
  SetConfigOption("session_authorization", GetUserNameFromId(pull->owner, false), PGC_SUSET,
                  PGC_S_OVERRIDE);
  CommitTransactionCommand();
  MyProc->roleId = pull->owner; // who may signal it
  PGSTAT_BEGIN_WRITE_ACTIVITY(MyBEEntry);
  MyBEEntry->st_userid = pull->owner; // whose pg_stat_activity shows it
  PGSTAT_END_WRITE_ACTIVITY(MyBEEntry);
}

void background_connect(const SharedPull *pull) {
  if (kCompatNeedsLogin && !pull->owner_may_log_in) {
    connect_without_login(pull);
  } else {
    BackgroundWorkerInitializeConnectionByOid(pull->database, pull->owner,
                                              kCompatWorkerConnectionFlags);
  }
  spi_expect_ledger(pull->ledger);
  // ALTER ROLE … SET role may have made it another one.
  SetConfigOption("role", "none", PGC_SUSET, PGC_S_OVERRIDE);
}

WorkerArgs background_worker_args() {
  WorkerArgs args;
  memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
  return args;
}

} // namespace parallel_loader
