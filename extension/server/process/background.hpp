// background: starts the extension's background processes and readies them.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

extern "C" {
#include "postmaster/bgworker.h"
}

namespace parallel_loader {

/// The bgw_type of our processes.
inline constexpr const char *kCoordinatorType = "parallel_loader coordinator";
inline constexpr const char *kWorkerType = "parallel_loader worker";

/// What a worker is told, byte by byte, in bgw_extra.  No secret goes here: it stays in shared
/// memory.
struct WorkerArgs {
  dsm_handle pull;
  dsm_handle
      session; // of the session that brought it (shared_session.hpp), or 0: the coordinator did
  int slot;
  uint32 generation; // of the slot's reservation
};
static_assert(sizeof(WorkerArgs) <= sizeof(BackgroundWorker::bgw_extra));

/// Registers the coordinator of a pull; nullptr when no background worker slot is free.
BackgroundWorkerHandle *background_start_coordinator(dsm_handle pull);

/// Reserves a slot of the pull for a worker, which it stores in `args`, and registers the worker;
/// nullptr when the pull or the server has no slot left.
BackgroundWorkerHandle *background_start_in_slot(SharedPull *pull, WorkerArgs *args);

/// Cancels what a coordinator does; false when `pid` is none.
bool background_cancel_coordinator(int pid);
/// The same, and ends the process.
bool background_end_coordinator(int pid);

/// True once the process behind `handle` has ended or could not start.
bool background_has_ended(BackgroundWorkerHandle *handle);

/// Waits, for two seconds at most, until all these processes have: they go right after their last
/// word, and only then are their worker slots free again.
void background_await_end(BackgroundWorkerHandle *const *handles, size_t count);

/// First thing in a background process: signal handlers, then the pull's shared memory.
/// Ends the process quietly when the segment is gone (whoever started it has given up).
SharedPull *background_attach(dsm_handle handle);

/// Key of the lock of the coordinator that this process is, or is a worker of; 0 in a session.
int64 background_coordinator_id();

/// Takes the slot that was reserved for this process; if it goes without leaving it, the slot is
/// marked lost.  Ends the process quietly when the reservation is over.
void background_enter_slot(SharedPull *pull, const WorkerArgs *args);

/// Takes the coordinator's place; if this process goes before the pull has ended, its workers are
/// stopped.
void background_enter_coordinator(SharedPull *pull);

/// Connects to the pull's database with the pull's owner as session user.
void background_connect(const SharedPull *pull);

[[nodiscard]] WorkerArgs background_worker_args();

} // namespace parallel_loader
