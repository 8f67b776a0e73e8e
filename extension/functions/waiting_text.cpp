#include "extension/functions/waiting_text.hpp"

#include <algorithm>

#include "extension/bridge/boundary.hpp"
#include "extension/coordinator/slot_wait.hpp"
#include "extension/ledger/pull_refusal.hpp"
#include "extension/server/shared/worker_slots.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace parallel_loader {

namespace {

bool is_paused(SharedPull *pull) {
  return pg_atomic_read_u32(&pull->is_paused) != 0;
}

bool lacks_slot(SharedPull *pull) {
  return pg_atomic_read_u32(&pull->needs_background_slot) != 0 && !worker_slots_any_used(pull);
}

// At its last commit nothing else matters any more: what the coordinator saw in its last turn may
// be older than the workers that have come and gone since.
bool is_closing(SharedPull *pull) {
  return pg_atomic_read_u32(&pull->is_closing) != 0;
}

std::string noted_text(SharedPull *pull) {
  char text[kWaitTextSize];
  shared_pull_waiting(pull, text);
  return text;
}

std::string duration_text(int64_t seconds) {
  constexpr int64_t kMinute = 60;
  const std::string rest = std::to_string(seconds % kMinute) + " s";
  return seconds < kMinute ? rest : std::to_string(seconds / kMinute) + " min " + rest;
}

std::string abandoned_text(int64_t pull_id, TimestampTz end) {
  const int64_t left_s = std::max<int64_t>((end - GetCurrentTimestamp()) / USECS_PER_SEC, 0);
  return "no session works on the pull, which fails in " + duration_text(left_s) +
         "; continue with " + call_text("parallel_pull_work", pull_id);
}

} // namespace

TimestampTz given_up_at(SharedPull *pull) {
  const bool is_worked_on = worker_slots_any_used(pull) ||
                            pg_atomic_read_u32(&pull->slot_waiters) != 0 ||
                            pg_atomic_read_u32(&pull->workers_allowed) != 0;
  return is_worked_on ? 0 : static_cast<TimestampTz>(pg_atomic_read_u64(&pull->given_up_at));
}

std::string waiting_text(const FoundPull &found, SharedPull *pull) {
  if (is_closing(pull))
    return noted_text(pull);
  if (is_paused(pull)) {
    return "paused; continue with " +
           call_text("parallel_pull_alter", found.pull_id,
                     "workers => " + std::to_string(std::max(found.workers, 1)));
  }
  if (lacks_slot(pull))
    return "a background worker slot: " + slot_holders();
  if (const TimestampTz end = given_up_at(pull); end != 0)
    return abandoned_text(found.pull_id, end);
  return noted_text(pull);
}

bool stands_still(SharedPull *pull) {
  return is_closing(pull) || is_paused(pull) || lacks_slot(pull) || given_up_at(pull) != 0;
}

} // namespace parallel_loader
