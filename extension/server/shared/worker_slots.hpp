// worker_slots: who works on a pull, in its shared memory, and how far each chunk is.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// Reserves a slot for a worker that `launcher_pid` starts; -1 when all are taken.
int worker_slot_reserve(SharedPull *pull, int launcher_pid);
/// Takes a reserved slot as this process's own; false when the reservation of this generation is
/// over.
bool worker_slot_enter(SharedPull *pull, int slot, uint32 generation);
/// Frees slots whose launcher has ended before the worker came.
void worker_slots_free_forgotten(SharedPull *pull);
/// Gives a slot back, and a chunk that it had with it, and tells coordinator and launcher.
/// `state` is kSlotFree or kSlotLost; a lost slot goes on naming its chunk.
void worker_slot_leave(SharedPull *pull, int slot, SlotState state) noexcept;
SlotState worker_slot_state(const SharedPull *pull, int slot) noexcept;

/// True if some worker is attached, or on its way and somebody alive waits for it.
bool worker_slots_any_used(const SharedPull *pull) noexcept;
/// True if some worker is attached.
bool worker_slots_any_running(const SharedPull *pull) noexcept;

/// For the coordinator alone: tells all workers to stop, and cancels what they wait for in the
/// server.
void worker_slots_stop(SharedPull *pull);
/// Likewise those whose session has left them behind.
void worker_slots_stop_left(SharedPull *pull);
/// Asks the coordinator to stop the workers that this process has brought.
void worker_slots_leave_behind(SharedPull *pull);
/// True while the coordinator has not told some of those.
bool worker_slots_any_left(SharedPull *pull);
/// Ends the processes of workers that do not heed worker_slots_stop.
void worker_slots_terminate(SharedPull *pull);

/// A slot that was reserved, and for which no worker could be registered, is free again.
void worker_slot_return(SharedPull *pull, int index) noexcept;

/// Tells the workers that move chunks of one pull of a run to leave it.
void worker_slots_stop_pull(SharedPull *pull, int64 pull_id);
/// How many workers move a chunk of that pull.
int worker_slots_count_at(SharedPull *pull, int64 pull_id) noexcept;
/// True if the worker is told to leave its pull, and to stay.
bool worker_slot_is_to_leave_pull(const WorkerSlot *slot) noexcept;
/// In the worker, when it has: waits until the signal has come, and drops it.
void worker_slot_left_pull(WorkerSlot *slot);
/// Wakes workers of a run that have no chunk.
void worker_slots_wake_idle(SharedPull *pull);
/// Adds what a plan brings.
void worker_slots_add_chunks(SharedPull *pull, int chunks, int64 estimate) noexcept;
/// Takes off what a pull that has ended leaves undone.
void worker_slots_drop_chunks(SharedPull *pull, int chunks, int64 estimate) noexcept;

/// A worker begins a chunk to which the plan gives `estimate` bytes.
void worker_slot_begin_chunk(SharedPull *pull, int slot, int64 pull_id, int chunk,
                             int64 estimate) noexcept;
/// The chunk's last row has come from the source; the coordinator is told when it was the pull's
/// last.
void worker_slot_chunk_read(SharedPull *pull, int slot) noexcept;
/// The chunk is committed, with `rows` and `bytes`.
void worker_slot_chunk_done(SharedPull *pull, int slot, int64 rows, int64 bytes) noexcept;
/// The chunk was rolled back and is free for others, for a reason that is not the pull's.
void worker_slot_chunk_dropped(SharedPull *pull, int slot) noexcept;
/// The chunk was rolled back and is free for others; `is_retry` counts it as to be repeated.
/// Returns for how many milliseconds the pull has failed without completing a chunk.
int64 worker_slot_chunk_failed(SharedPull *pull, int slot, bool is_retry) noexcept;

PullCounts worker_slots_counts(SharedPull *pull) noexcept;
/// True if some chunk still has rows to be read.
bool worker_slots_any_unread(SharedPull *pull) noexcept;
/// True if some chunk is not done.
bool worker_slots_any_undone(SharedPull *pull) noexcept;
/// True if some chunk is neither done nor with a worker.
bool worker_slots_any_unclaimed(SharedPull *pull) noexcept;
/// True if a worker other than the one of slot `own` has claimed a chunk that it may have to give
/// back: what it is to be read from is not locked on the source yet.
bool worker_slots_any_without_lock(SharedPull *pull, int own) noexcept;
/// Sums up what is done and in flight; what it returns never goes back while the segment lives.
PullProgress worker_slots_progress(SharedPull *pull) noexcept;

} // namespace parallel_loader
