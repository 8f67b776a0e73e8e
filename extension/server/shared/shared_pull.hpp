// shared_pull: the shared memory of one pull: who works on it, how far they are, what went wrong.
#pragma once

#include "extension/server/base/error_report.hpp"
#include "extension/server/shared/secret_bytes.hpp"

extern "C" {
#include "datatype/timestamp.h"
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

/// Why a pull is to end; the first reason stays.
enum PullStop : uint32 {
  kStopNone,
  kStopFailed,         // a worker failed: see error
  kStopCancelled,      // somebody cancelled it
  kStopWaitingSession, // the session that waited for it is gone, or its statement has ended
  kStopDone,           // it has got to its end: nothing else can end it any more
};

/// Why the coordinator of a failed pull is to let its snapshot go; the first reason stays.
enum HoldEnd : uint32 {
  kHoldKept,
  kHoldResumed,   // a resume has the snapshot now
  kHoldCancelled, // somebody cancelled the pull
  kHoldGaveWay,   // another pull needs the worker slot
};

enum SlotState : uint32 {
  kSlotFree,
  kSlotTaken,    // somebody prepares it
  kSlotReserved, // a background worker is registered for it
  kSlotRunning,  // a worker is attached
  kSlotLost,     // its worker went without a word
};

/// What the coordinator has told a worker.
enum SlotOrder : uint32 {
  kOrderNone,
  kOrderStop,       // to end
  kOrderBeingGiven, // the next one, and its signal is on its way
  kOrderLeavePull,  // to give up the chunk, whose pull ends, and to go on with others of the run
};

/// Whoever moves it from none to writing is the one who writes the error.
enum ErrorState : uint32 { kErrorNone, kErrorWriting, kErrorWritten };

/// A worker, or room for one.  Whoever launches it, coordinator or work session, reserves the slot;
/// then the worker alone writes it, but for what others are named for here.  The worker frees it as
/// it leaves; if it could not, the coordinator does.
struct WorkerSlot {
  pg_atomic_uint32 state;
  pg_atomic_uint32 is_told_to_stop;  // SlotOrder; written by the coordinator, and by the worker to
                                     // say that it has left a pull
  pg_atomic_uint32 is_surplus;       // likewise: to leave before its next chunk
  pg_atomic_uint32 is_launcher_gone; // written by the launcher as it goes
  uint32 generation;                 // grows with each reservation: a worker comes to its own only
  int pid;
  int proc_number;             // of that process, among the server's
  int launcher_pid;            // who started the worker and waits for it
  int64 pull_id;               // of the chunk; written under the mutex
  pg_atomic_uint32 chunk;      // being moved; 0 between chunks
  pg_atomic_uint32 is_read;    // that chunk's last row has come
  pg_atomic_uint64 rows;       // of that chunk so far
  pg_atomic_uint64 bytes;      // likewise
  int64 estimate;              // bytes that the plan gives that chunk
  TimestampTz begun_at;        // when that chunk was claimed
  pg_atomic_uint32 source_pid; // backend that serves the worker on the source; 0: none
  pg_atomic_uint32 has_lock;   // that backend has locked what the chunk is read from
};

/// What is done, and what is left to do.
struct PullCounts {
  int64 rows;  // of done chunks
  int64 bytes; // likewise
  int64 estimate_done;
  int64 estimate_all;
  int chunks;
  int chunks_done;
  int chunks_claimed; // not done, but with a worker
  int chunks_read;    // of those, the ones whose last row has come
  int retries;        // attempts that failed and were, or are to be, repeated
};

/// How far a pull is, for people.
struct PullProgress {
  int64 rows;
  int64 bytes;
  double fraction; // of the work, 0 to 1
  int workers;
};

inline constexpr Size kWaitTextSize = 512;
inline constexpr Size kNoticeSize = 512;

/// What is wanted of the coordinator: see mailbox.hpp, and last_commit.hpp for the last two.
struct Mailbox {
  pg_atomic_uint32 stop; // PullStop
  pg_atomic_uint32 workers;
  pg_atomic_uint64 max_rate;
  pg_atomic_uint32 hold_end;     // HoldEnd
  pg_atomic_uint32 commit_level; // synchronous_commit of the last commit
  pg_atomic_uint32 is_given_up;  // who began the pull does not wait for it any more
};

/// What others tell the coordinator of a run about one of its pulls.
enum RunNews : uint32 {
  kNewsTicket = 1, // a pull is to be planned: see plan_ticket.hpp
  kNewsFailed,     // a worker has failed at it
  kNewsCancelled,  // somebody cancels it
  kNewsForgotten,  // somebody cancels one that has failed: its snapshot is not needed
};

struct RunMessage {
  RunNews news;
  dsm_handle ticket;
  int64 pull_id;
  char sqlstate[6];
  char message[1018]; // of the error, all cut
  char detail[1024];
  char hint[1024];
};

inline constexpr int kMostMessages = 64;
inline constexpr int kMostTouched = 1024;

/// The mail of a run's coordinator about single pulls, under the mutex: see run_inbox.hpp.
struct RunInbox {
  int first;
  int count;
  RunMessage messages[kMostMessages];
  int touched_count;
  bool has_overflown;          // more pulls were touched than there is room for
  int64 touched[kMostTouched]; // pulls of which a chunk was done, or failed
};

/// A pull while it lives, in a dynamic shared memory segment of its own.  The waiting session
/// creates it; each process of the pull maps it, and for moments those who look at the pull; it is
/// gone with the last mapping.  After kPhaseRecorded the coordinator alone writes what has no other
/// writer named here.  The layout and kMagic change together.
struct SharedPull {
  uint32 magic;
  Oid database;
  Oid owner;             // who its background processes are, for all they do
  bool owner_may_log_in; // has LOGIN
  Oid table;             // that is loaded
  Oid ledger;            // that the pull stands in: see spi_expect_ledger
  int64 pull_id;         // set before kPhaseRecorded; of a run: the first one of its coordinator
  int64 coordinator_id;  // likewise: key of the coordinator's lock
  bool is_run;           // more pulls may come, and each ends by itself
  int waiting_pid;       // who is told of every change; 0: nobody
  int coordinator_pid;
  pg_atomic_uint32 phase;
  Mailbox mail;          // written by anybody, read by the coordinator
  pg_atomic_uint32 stop; // PullStop that the coordinator has taken from its mail, or settled
  pg_atomic_uint32 holds_snapshot;        // the pull has failed, its coordinator stays for a resume
  pg_atomic_uint32 needs_background_slot; // no worker slot is free, and the pull has no worker
  pg_atomic_uint32
      slot_waiters; // sessions that wait for a slot for workers of their own, counted by them
  pg_atomic_uint32 workers_wanted;
  pg_atomic_uint32 workers_started;
  pg_atomic_uint32 workers_allowed; // how many the coordinator is to keep
  pg_atomic_uint32 is_paused;       // nothing is to move
  pg_atomic_uint32 has_joined;      // a worker has come at least once, and said so
  pg_atomic_uint32 is_closing;      // the coordinator is at the last commit: see last_commit.hpp
  pg_atomic_uint32 is_unreplicated; // that commit did not wait to the end for a standby
  pg_atomic_uint64 max_rate;        // bytes a second; 0: no limit
  pg_atomic_uint64 bytes_moved; // by all attempts together, so it only grows; added by the workers
  pg_atomic_uint64 bytes_per_second; // of late
  pg_atomic_uint64 given_up_at;      // when the pull ends if nobody works on it any more
  pg_atomic_uint64 hold_ends; // when the snapshot of a failed pull is let go; 0: it is not held
  pg_atomic_uint64
      lock_refused_at; // when a worker last failed to get a lock on the source, set by it; 0: never
  TimestampTz snapshot_taken;       // 0: not yet
  pg_atomic_uint32 awaits_plans;    // of a run: more chunks may come
  pg_atomic_uint32 has_run_workers; // of a run: workers came that take chunks of any of its pulls
  pg_atomic_uint32 pull_count;      // of a run: planned so far
  int64 error_pull_id;              // whose error `error` is; 0: of all

  char notice[kNoticeSize];      // for the caller; written before kPhasePlanned; may be empty
  char notice_hint[kNoticeSize]; // likewise

  slock_t mutex; // guards what follows, for a few instructions at a time; anybody may write it
  PullCounts counts;
  PullProgress shown; // the most that was ever shown: what is shown never goes back
  RunInbox inbox;
  TimestampTz trouble_since;  // of the first failure since a chunk was last done; 0: none
  TimestampTz rate_free_from; // when bytes may flow again under max_rate
  uint32 rate_epoch;          // grows with each change of max_rate

  pg_atomic_uint32 waiting_version; // odd while the coordinator writes what follows
  char waiting_for[kWaitTextSize];
  pg_atomic_uint32 error_state; // ErrorState of what follows
  ErrorReport error;            // the first one; written once, by whoever failed

  WorkerSlot slots[kMaxWorkers];

  // What the coordinator is to do: see request.hpp.  It holds the password, so it is overwritten by
  // the coordinator as that leaves, or by the waiting session if no coordinator came.
  SecretBytes request;
};

/// Creates the segment of a pull of `owner`'s in this database's ledger, with a copy of `request`;
/// the creating transaction's resource owner detaches it.
dsm_segment *shared_pull_create(Oid owner, Oid table, const char *request, Size request_size,
                                SharedPull **pull);

/// Attaches the segment, or finds it attached; nullptr when there is none or it is not a pull's.
/// `is_new_mapping` says whether the caller has to detach it.
dsm_segment *shared_pull_attach(dsm_handle handle, SharedPull **pull, bool *is_new_mapping);

/// Wakes the process with this id, if there is one, so that it looks at the shared memory again.
void shared_pull_wake(int pid) noexcept;

/// Wakes the session that waits for the pull, and those that have brought workers.
void shared_pull_wake_launchers(SharedPull *pull);
/// Copies a text for a caller into `buffer`, of kNoticeSize bytes; what is too long is cut.
void shared_pull_copy_notice(char *buffer, const char *text);
/// Enters a phase and tells session and launchers.
void shared_pull_enter_phase(SharedPull *pull, PullPhase phase);
PullPhase shared_pull_phase(const SharedPull *pull) noexcept;
/// True if nothing more is to come of the pull: it is in its last phase, or its coordinator is
/// gone.
bool shared_pull_has_ended(const SharedPull *pull) noexcept;

/// Keeps `report` if it is the first error of this memory; `pull_id` is that of one pull of a run,
/// or 0.
void shared_pull_keep_error(SharedPull *pull, const ErrorReport *report, int64 pull_id) noexcept;
/// In the coordinator of a run, once no worker writes any more: what ends all of it takes the place
/// of what one pull has left there.
void shared_pull_replace_error(SharedPull *pull, const ErrorReport *report) noexcept;
/// Keeps `report` if it is the pull's first error, and asks for the end for `reason`.
void shared_pull_fail(SharedPull *pull, const ErrorReport *report, PullStop reason) noexcept;
/// Copies the pull's error; false when there is none.
bool shared_pull_error(SharedPull *pull, ErrorReport *report) noexcept;

/// Leaves word for the caller, before kPhasePlanned; what is too long is cut.
void shared_pull_set_notice(SharedPull *pull, const char *message, const char *hint);

/// Says what the pull waits for; an empty text: it moves.  For the coordinator alone.
void shared_pull_set_waiting(SharedPull *pull, const char *text) noexcept;
/// Copies that text into `text`, of kWaitTextSize bytes.
void shared_pull_waiting(SharedPull *pull, char *text) noexcept;

} // namespace parallel_loader
