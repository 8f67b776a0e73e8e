// mailbox: see mailbox.hpp.
#include "extension/server/mailbox.hpp"

#include "extension/server/throttle.hpp"

namespace parallel_loader {

// Stand for an empty place.
static constexpr uint32 kNoWorkers = PG_UINT32_MAX;
static constexpr uint64 kNoRate = PG_UINT64_MAX;

void mailbox_init(Mailbox *mail) {
  pg_atomic_init_u32(&mail->workers, kNoWorkers);
  pg_atomic_init_u64(&mail->max_rate, kNoRate);
  pg_atomic_init_u32(&mail->hold_end, kHoldKept);
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

bool mailbox_post_limits(SharedPull *pull, const PullLimits *limits) {
  if (limits->has_workers)
    pg_atomic_exchange_u32(&pull->mail.workers, limits->workers);
  if (limits->has_rate)
    pg_atomic_exchange_u64(&pull->mail.max_rate, static_cast<uint64>(limits->max_rate));
  shared_pull_wake(pull->coordinator_pid);
  return !take_back(pull);
}

void mailbox_post_hold_end(SharedPull *pull, HoldEnd reason) {
  uint32 kept = kHoldKept;
  pg_atomic_compare_exchange_u32(&pull->mail.hold_end, &kept, reason);
  shared_pull_wake(pull->coordinator_pid);
}

static bool take_workers(SharedPull *pull) {
  const uint32 workers = pg_atomic_exchange_u32(&pull->mail.workers, kNoWorkers);
  if (workers == kNoWorkers)
    return false;
  throttle_set_paused(pull, workers == 0);
  if (workers > 0)
    pg_atomic_write_u32(&pull->workers_target, workers);
  return true;
}

static bool take_rate(SharedPull *pull) {
  const uint64 rate = pg_atomic_exchange_u64(&pull->mail.max_rate, kNoRate);
  if (rate == kNoRate)
    return false;
  throttle_set_rate(pull, static_cast<int64>(rate));
  return true;
}

bool mailbox_take_limits(SharedPull *pull) {
  const bool has_workers = take_workers(pull);
  const bool has_rate = take_rate(pull);
  return has_workers || has_rate;
}

} // namespace parallel_loader
