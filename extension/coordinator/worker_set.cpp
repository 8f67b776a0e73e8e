#include "extension/coordinator/worker_set.hpp"

#include <algorithm>

#include "extension/bridge/boundary.hpp"
#include "extension/server/base/socket_wait.hpp"
#include "extension/server/shared/worker_slots.hpp"

extern "C" {
#include "utils/memutils.h"
}

namespace parallel_loader {

namespace {

bool has_ended(BackgroundWorkerHandle *handle) {
  return call([&]() noexcept { return background_has_ended(handle); });
}

} // namespace

bool WorkerSet::start_worker() {
  WorkerArgs args = {handle_, 0, -1, 0};
  BackgroundWorkerHandle *const worker = call([&]() noexcept {
    const MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext); // it outlives the turn
    BackgroundWorkerHandle *handle = background_start_in_slot(pull_, &args);
    MemoryContextSwitchTo(caller);
    return handle;
  });
  if (worker != nullptr)
    registered_.push_back({worker, args.slot});
  return worker != nullptr;
}

void WorkerSet::forget_ended() {
  std::erase_if(
      registered_,
      [](const Registered &worker) {
        const bool is_gone = has_ended(worker.handle);
        if (is_gone)
          pfree(worker.handle);
        return is_gone;
      });
}

int WorkerSet::live_count() {
  forget_ended();
  return static_cast<int>(registered_.size());
}

int WorkerSet::grow_to(int count) {
  int live = live_count();
  if (is_resting())
    return live;
  while (live < count && start_worker())
    live++;
  return live;
}

void WorkerSet::shrink_to(int count) {
  for (int index = count; index < live_count(); index++)
    pg_atomic_write_u32(&pull_->slots[registered_[static_cast<size_t>(index)].slot].is_surplus, 1);
}

// A worker that could not start (no memory, no process) never takes its slot.
void WorkerSet::release_unstarted() {
  for (const Registered &worker : registered_)
    if (worker_slot_state(pull_, worker.slot) == kSlotReserved &&
        pull_->slots[worker.slot].launcher_pid == MyProcPid && has_ended(worker.handle))
      worker_slot_leave(pull_, worker.slot, kSlotLost);
}

std::vector<LostWorker> WorkerSet::take_lost() {
  release_unstarted();
  call([&]() noexcept { worker_slots_free_forgotten(pull_); });
  std::vector<LostWorker> lost;
  for (int slot = 0; slot < kMaxWorkers; slot++) {
    if (worker_slot_state(pull_, slot) != kSlotLost)
      continue;
    const auto chunk = static_cast<int>(pg_atomic_read_u32(&pull_->slots[slot].chunk));
    lost.push_back(
        {pull_->slots[slot].pull_id, chunk, worker_slot_chunk_failed(pull_, slot, true)});
    worker_slot_leave(pull_, slot, kSlotFree);
  }
  if (!lost.empty())
    may_start_from_ = Clock::now() + backoff_.next();
  return lost;
}

void WorkerSet::wait_for_processes() {
  std::vector<BackgroundWorkerHandle *> handles;
  for (const Registered &worker : registered_)
    handles.push_back(worker.handle);
  call([&]() noexcept { background_await_end(handles.data(), handles.size()); });
}

void WorkerSet::clear_away() {
  constexpr long kStepMs = 100;
  constexpr long kPatienceMs = 3000;
  for (long waited_ms = 0;; waited_ms += kStepMs) {
    release_unstarted();
    call([&]() noexcept { worker_slots_free_forgotten(pull_); });
    if (!worker_slots_any_used(pull_))
      return;
    call([&]() noexcept {
      worker_slots_stop(pull_);
      if (waited_ms >= kPatienceMs)
        worker_slots_terminate(pull_);
      latch_sleep(kStepMs);
    });
  }
}

} // namespace parallel_loader
