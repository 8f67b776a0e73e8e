#include "extension/server/shared/mailbox.hpp"

#include <csignal>

#include "extension/server/shared/throttle.hpp"
#include "extension/server/shared/worker_slots.hpp"

extern "C" {
#include "storage/procarray.h"
}

namespace parallel_loader {

// Stand for an empty place.
static constexpr uint32 kNoWorkers = PG_UINT32_MAX;
static constexpr uint64 kNoRate = PG_UINT64_MAX;

void mailbox_init(Mailbox *mail) {
  pg_atomic_init_u32(&mail->stop, kStopNone);
  pg_atomic_init_u32(&mail->workers, kNoWorkers);
  pg_atomic_init_u64(&mail->max_rate, kNoRate);
  pg_atomic_init_u32(&mail->hold_end, kHoldKept);
  pg_atomic_init_u32(&mail->commit_level, 0);
  pg_atomic_init_u32(&mail->is_given_up, 0);
}

static bool put_stop(SharedPull *pull, PullStop reason) noexcept {
  uint32 none = kStopNone;
  return pg_atomic_compare_exchange_u32(&pull->mail.stop, &none, reason);
}

bool mailbox_post_stop(SharedPull *pull, PullStop reason) noexcept {
  const bool is_first = put_stop(pull, reason);
  shared_pull_wake(pull->coordinator_pid);
  return is_first;
}

// SIGINT is a query cancel to any of our processes: it ends what it waits for in the server.
static void interrupt_coordinator(const SharedPull *pull) {
  const int pid = pull->coordinator_pid;
  if (pid != 0 && pid != MyProcPid && BackendPidGetProc(pid) != nullptr)
    kill(pid, SIGINT);
}

// Nothing comes between post and signal: who has seen the one does not expect the other any more,
// and would take it for one that ends its last wait.
bool mailbox_post_urgent_stop(SharedPull *pull, PullStop reason) {
  const bool is_first = put_stop(pull, reason);
  const bool is_closing = pg_atomic_read_u32(&pull->is_closing) != 0;
  if ((is_first || is_closing) && shared_pull_phase(pull) != kPhaseEnded)
    interrupt_coordinator(pull);
  return is_first;
}

PullStop mailbox_stop(const SharedPull *pull) noexcept {
  return static_cast<PullStop>(
      pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&pull->mail.stop)));
}

bool mailbox_is_stop_posted(const SharedPull *pull) {
  const PullStop reason = mailbox_stop(pull);
  return reason != kStopNone && reason != kStopDone;
}

static bool is_coordinator_there(const SharedPull *pull) {
  const int pid = pull->coordinator_pid;
  return pid != 0 && BackendPidGetProc(pid) != nullptr;
}

// The coordinator is at work, or waits where it looks up: to take its mail takes it a millisecond.
constexpr long kStepUs = 1000;
constexpr int kSteps = 500;

void mailbox_await_stop(SharedPull *pull) {
  const bool is_for_all = mailbox_stop(pull) != kStopNone;
  for (int step = 0; step < kSteps && is_coordinator_there(pull); step++) {
    const bool is_taken = pg_atomic_read_u32(&pull->stop) != kStopNone;
    if (is_taken || !worker_slots_any_used(pull) || (!is_for_all && !worker_slots_any_left(pull)))
      return;
    pg_usleep(kStepUs);
  }
}

// What has been taken is told last, so that who waits for it knows that all workers were told.
PullStop mailbox_take_stop(SharedPull *pull) {
  worker_slots_stop_left(pull);
  const PullStop reason = mailbox_stop(pull);
  if (reason != kStopNone && pg_atomic_read_u32(&pull->stop) == kStopNone) {
    worker_slots_stop(pull);
    pg_write_barrier();
    pg_atomic_write_u32(&pull->stop, reason);
  }
  return reason;
}

bool mailbox_close_for_done(SharedPull *pull) noexcept {
  uint32 none = kStopNone;
  if (!pg_atomic_compare_exchange_u32(&pull->mail.stop, &none, kStopDone))
    return false;
  pg_atomic_write_u32(&pull->stop, kStopDone);
  return true;
}

// The coordinator looks into its mail once more after it has said that the pull has ended; so what
// is posted before that is taken, and what is still there after it is not.
static bool take_back(SharedPull *pull) {
  if (shared_pull_phase(pull) != kPhaseEnded)
    return false;
  const bool has_workers = pg_atomic_exchange_u32(&pull->mail.workers, kNoWorkers) != kNoWorkers;
  const bool has_rate = pg_atomic_exchange_u64(&pull->mail.max_rate, kNoRate) != kNoRate;
  return has_workers || has_rate;
}

static void await_limits(SharedPull *pull) {
  for (int step = 0; step < kSteps && is_coordinator_there(pull); step++) {
    if (pg_atomic_read_u32(&pull->mail.workers) == kNoWorkers &&
        pg_atomic_read_u64(&pull->mail.max_rate) == kNoRate)
      return;
    pg_usleep(kStepUs);
  }
}

bool mailbox_post_limits(SharedPull *pull, const PullLimits *limits) {
  if (limits->has_workers)
    pg_atomic_exchange_u32(&pull->mail.workers, limits->workers);
  if (limits->has_rate)
    pg_atomic_exchange_u64(&pull->mail.max_rate, static_cast<uint64>(limits->max_rate));
  shared_pull_wake(pull->coordinator_pid);
  await_limits(pull);
  return !take_back(pull);
}

void mailbox_post_hold_end(SharedPull *pull, HoldEnd reason) {
  uint32 kept = kHoldKept;
  pg_atomic_compare_exchange_u32(&pull->mail.hold_end, &kept, reason);
  shared_pull_wake(pull->coordinator_pid);
}

static bool take_workers(SharedPull *pull) noexcept {
  const uint32 workers = pg_atomic_exchange_u32(&pull->mail.workers, kNoWorkers);
  if (workers == kNoWorkers)
    return false;
  throttle_set_paused(pull, workers == 0);
  if (workers > 0)
    pg_atomic_write_u32(&pull->workers_allowed, workers);
  return true;
}

static bool take_rate(SharedPull *pull) noexcept {
  const uint64 rate = pg_atomic_exchange_u64(&pull->mail.max_rate, kNoRate);
  if (rate == kNoRate)
    return false;
  throttle_set_rate(pull, static_cast<int64>(rate));
  return true;
}

bool mailbox_take_limits(SharedPull *pull) noexcept {
  const bool has_workers = take_workers(pull);
  const bool has_rate = take_rate(pull);
  return has_workers || has_rate;
}

} // namespace parallel_loader
