// shared_pull: the shared memory of one pull: who works on it, how far they are, what went wrong.
#pragma once

#include "extension/server/error_report.hpp"

extern "C" {
#include "port/atomics.h"
#include "storage/dsm.h"
#include "storage/spin.h"
}

namespace parallel_loader {

inline constexpr int kMaxWorkers = 256;

/// How far the coordinator is; only ever grows.
enum PullPhase : uint32 {
  kPhaseStarting, // not in the ledger yet
  kPhaseRecorded, // in the ledger, has an id
  kPhasePlanned,  // chunks are in the ledger, workers may come
  kPhaseEnded,    // final: the ledger says how
};

/// Why a pull is to end early; the first reason stays.
enum PullStop : uint32 {
  kStopNone,
  kStopFailed,    // a worker failed: see error
  kStopCancelled, // somebody cancelled it
  kStopLeader,    // the session that waited for it is gone, or its statement has ended
};

enum SlotState : uint32 {
  kSlotFree,
  kSlotReserved, // a background worker is registered for it
  kSlotRunning,  // a worker is attached
  kSlotLost,     // its worker went without a word
};

struct WorkerSlot {
  pg_atomic_uint32 state;
  pg_atomic_uint32 is_told_to_stop;
  int pid;
  int launcher_pid;       // who started the worker and waits for it
  pg_atomic_uint32 chunk; // being moved; 0 between chunks
  pg_atomic_uint64 rows;  // of that chunk so far
  pg_atomic_uint64 bytes; // likewise
};

struct SharedPull {
  uint32 magic;
  Oid database;
  Oid session_user; // who logged in
  Oid owner;        // whose rights count
  Oid table;        // that is loaded
  int64 pull_id;    // set before kPhaseRecorded
  int leader_pid;   // who is told of every change; 0: nobody
  int coordinator_pid;
  pg_atomic_uint32 phase;
  pg_atomic_uint32 stop;
  pg_atomic_uint32
      works_itself; // a session found no worker slot: the coordinator is to move chunks
  pg_atomic_uint32 workers_wanted;
  pg_atomic_uint32 workers_started;
  pg_atomic_uint32 has_joined; // a worker has come at least once
  pg_atomic_uint64 rows_done;
  pg_atomic_uint64 bytes_done;
  pg_atomic_uint32 chunks_done;

  slock_t mutex; // guards the next two, and the reservation of slots
  bool has_error;
  ErrorReport error; // the first one; written once

  WorkerSlot slots[kMaxWorkers];

  Size order_size; // what the coordinator is to do: see order.hpp; holds the password
  char order[FLEXIBLE_ARRAY_MEMBER];
};

/// Creates the segment with a copy of `order`; the creating transaction's owner detaches it.
dsm_segment *shared_pull_create(Oid table, const char *order, Size order_size, SharedPull **pull);

/// Attaches the segment, or finds it attached; nullptr when there is none or it is not a pull's.
/// `is_new_mapping` says whether the caller has to detach it.
dsm_segment *shared_pull_attach(dsm_handle handle, SharedPull **pull, bool *is_new_mapping);

/// Wakes the process with this id, if there is one, so that it looks at the shared memory again.
void shared_pull_wake(int pid);

/// Enters a phase and tells leader and launchers.
void shared_pull_enter_phase(SharedPull *pull, PullPhase phase);
PullPhase shared_pull_phase(const SharedPull *pull);
PullStop shared_pull_stop_reason(const SharedPull *pull);

/// Asks for an early end; only the first reason counts.  Wakes the coordinator and cancels what it
/// waits for in the server.
void shared_pull_request_stop(SharedPull *pull, PullStop reason);

/// Keeps `report` if it is the pull's first error, and asks for the end for `reason`.
void shared_pull_fail(SharedPull *pull, const ErrorReport *report, PullStop reason);
/// Copies the pull's error; false when there is none.
bool shared_pull_error(SharedPull *pull, ErrorReport *report);

/// Reserves a slot for a worker that `launcher_pid` starts; -1 when all are taken.
int shared_pull_reserve_slot(SharedPull *pull, int launcher_pid);
/// Takes a reserved slot as this process's own.
void shared_pull_enter_slot(SharedPull *pull, int slot);
/// Gives a slot back, and tells coordinator and launcher.  `state` is kSlotFree or kSlotLost.
void shared_pull_leave_slot(SharedPull *pull, int slot, SlotState state);
SlotState shared_pull_slot_state(const SharedPull *pull, int slot);

/// True if some worker is attached, or on its way and somebody alive waits for it.
bool shared_pull_has_workers(const SharedPull *pull);

/// Tells workers to stop, and cancels what they wait for in the server: those that `launcher_pid`
/// started, or all when it is 0.
void shared_pull_stop_workers(SharedPull *pull, int launcher_pid);
/// Ends the processes of workers that do not heed shared_pull_stop_workers.
void shared_pull_terminate_workers(SharedPull *pull);

} // namespace parallel_loader
