#include "extension/server/shared/throttle.hpp"

#include "extension/server/base/socket_wait.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace parallel_loader {

// What was not used of the rate is kept for this long: workers come in turns.
static constexpr TimestampTz kBurstUs = 250 * INT64CONST(1000);
// How long a new rate, a pause or a stop may go unnoticed.
static constexpr long kSliceMs = 100;

// A worker that has come late is told by nobody: the pull is over for it all the same.
static bool is_told_to_stop(SharedPull *pull, const WorkerSlot *slot) {
  return pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&slot->is_told_to_stop)) != 0 ||
         pg_atomic_read_u32(&pull->stop) != kStopNone;
}

static void nap(long timeout_ms) {
  latch_sleep(Min(timeout_ms, kSliceMs));
}

static bool wait_while_paused(SharedPull *pull, const WorkerSlot *slot) {
  while (pg_atomic_read_u32(&pull->is_paused) != 0) {
    if (is_told_to_stop(pull, slot))
      return false;
    nap(kSliceMs);
  }
  return true;
}

// All workers share one clock: each takes the time that its bytes last at the rate, and waits until
// the time before it is over.  The rate is read under the mutex: time at an older one, taken from
// the clock of this one, would be waited for by all.
static TimestampTz take_time(SharedPull *pull, int64 bytes, uint32 *epoch) {
  const TimestampTz now = GetCurrentTimestamp();
  SpinLockAcquire(&pull->mutex);
  const auto rate = static_cast<double>(pg_atomic_read_u64(&pull->max_rate));
  const TimestampTz begin = Max(pull->rate_free_from, now - kBurstUs);
  if (rate > 0)
    pull->rate_free_from =
        begin + static_cast<TimestampTz>(static_cast<double>(bytes) * 1e6 / rate);
  *epoch = pull->rate_epoch;
  SpinLockRelease(&pull->mutex);
  return begin;
}

static uint32 rate_epoch(SharedPull *pull) {
  SpinLockAcquire(&pull->mutex);
  const uint32 epoch = pull->rate_epoch;
  SpinLockRelease(&pull->mutex);
  return epoch;
}

bool throttle_pass(SharedPull *pull, const WorkerSlot *slot, int64 bytes) {
  if (!wait_while_paused(pull, slot))
    return false;
  if (pg_atomic_read_u64(&pull->max_rate) == 0)
    return true;
  uint32 epoch;
  const TimestampTz begin = take_time(pull, bytes, &epoch);
  for (;;) {
    const TimestampTz left_us = begin - GetCurrentTimestamp();
    if (left_us <= 0 || epoch != rate_epoch(pull))
      return wait_while_paused(pull, slot);
    if (is_told_to_stop(pull, slot))
      return false;
    nap(static_cast<long>(left_us / 1000) + 1);
  }
}

bool throttle_holds_back(SharedPull *pull) noexcept {
  const TimestampTz now = GetCurrentTimestamp();
  SpinLockAcquire(&pull->mutex);
  const bool holds_back = pg_atomic_read_u64(&pull->max_rate) != 0 && pull->rate_free_from > now;
  SpinLockRelease(&pull->mutex);
  return holds_back;
}

// The time of a pause is no time of trouble: a retry budget does not run out in it.
void throttle_set_paused(SharedPull *pull, bool is_paused) noexcept {
  const bool was_paused = pg_atomic_exchange_u32(&pull->is_paused, is_paused ? 1 : 0) != 0;
  if (!was_paused || is_paused)
    return;
  const TimestampTz now = GetCurrentTimestamp();
  SpinLockAcquire(&pull->mutex);
  if (pull->trouble_since != 0)
    pull->trouble_since = now;
  SpinLockRelease(&pull->mutex);
}

void throttle_set_rate(SharedPull *pull, int64 bytes_per_second) noexcept {
  SpinLockAcquire(&pull->mutex);
  pg_atomic_write_u64(&pull->max_rate, static_cast<uint64>(bytes_per_second));
  pull->rate_free_from = 0;
  pull->rate_epoch++; // whoever waits under the old rate goes on
  SpinLockRelease(&pull->mutex);
}

} // namespace parallel_loader
