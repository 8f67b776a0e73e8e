// slot_wait: see slot_wait.hpp.
#include "extension/slot_wait.hpp"

#include "core/error.hpp"

#include <algorithm>

#include "extension/boundary.hpp"
#include "extension/pull_lookup.hpp"
#include "extension/server/mailbox.hpp"
#include "extension/server/worker_census.hpp"

namespace parallel_loader {

namespace {

// Processes that end take a moment, and so does one that is asked to.
constexpr std::chrono::milliseconds kLeast{2000};

} // namespace

SlotWait::SlotWait(int64_t budget_ms, int64_t spared_pull) noexcept
    : budget_(std::max(std::chrono::milliseconds(budget_ms), kLeast)), spared_pull_(spared_pull) {}

void SlotWait::ask_for_room() {
  if (Clock::now() - asked_at_ < kLeast)
    return;
  for (const FoundPull &held : find_held_pulls()) {
    if (held.pull_id == spared_pull_ || std::ranges::find(asked_, held.pull_id) != asked_.end())
      continue;
    const AttachedPull attached(held);
    SharedPull *pull = attached.get();
    if (pull == nullptr)
      continue;
    call([&]() noexcept { mailbox_post_hold_end(pull, kHoldGaveWay); });
    asked_.push_back(held.pull_id);
    asked_at_ = Clock::now();
    return;
  }
}

void SlotWait::require_patience() const {
  const Clock::time_point now = Clock::now();
  if (now - began_at_ < budget_ || now - asked_at_ < kLeast)
    return;
  const WorkerCensus census = call([]() noexcept { return worker_census_take(); });
  throw Error("53400", "no background worker slot is free",
              "Of the slots of max_worker_processes, " + std::string(census.text) + ".",
              "Raise max_worker_processes, which takes a restart, or pull again when some of these "
              "have ended.");
}

} // namespace parallel_loader
