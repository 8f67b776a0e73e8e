#include "extension/coordinator/slot_wait.hpp"

#include "core/base/list.hpp"

#include <algorithm>

#include "extension/bridge/boundary.hpp"
#include "extension/coordinator/old_coordinator.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/server/process/worker_census.hpp"
#include "extension/server/shared/mailbox.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/acl.h"
}

namespace parallel_loader {

namespace {

// Processes that end take a moment, and so does one that is asked to.
constexpr std::chrono::milliseconds kLeast{2000};

std::vector<int64_t> own_held_pulls() {
  std::vector<int64_t> ids;
  for (const FoundPull &held : find_held_pulls())
    if (call([&]() noexcept { return has_privs_of_role(GetUserId(), held.owner); }))
      ids.push_back(held.pull_id);
  return ids;
}

std::string comma_list(const std::vector<int64_t> &ids, const std::string &before,
                       const std::string &after) {
  constexpr size_t kMost = 8;
  std::string list;
  for (size_t index = 0; index < std::min(ids.size(), kMost); index++)
    add_to_list(list, std::string(before).append(std::to_string(ids[index])).append(after));
  return ids.size() > kMost ? list + ", …" : list;
}

std::string holders(const std::vector<int64_t> &held) {
  const WorkerCensus census = call([]() noexcept { return worker_census_take(); });
  std::string text = census.text;
  if (!held.empty())
    text += (held.size() == 1 ? "; held for a resume: pull " : "; held for a resume: pulls ") +
            comma_list(held, "", "");
  return text;
}

} // namespace

std::string slot_holders() {
  return holders(own_held_pulls());
}

Error no_free_slot(const std::string &again) {
  const std::vector<int64_t> held = own_held_pulls();
  std::string hint;
  if (!held.empty())
    hint = comma_list(held, "parallel_pull_cancel(", ")") +
           (held.size() == 1 ? " frees the slot of a held pull. Otherwise raise "
                             : " free the slots of held pulls. Otherwise raise ");
  else
    hint = "Raise ";
  return Error("53400", "no background worker slot is free",
               "Of the slots of max_worker_processes, " + holders(held) + ".",
               hint + "max_worker_processes, which requires a restart, or " + again +
                   " when some of these have ended.");
}

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
    if (pull != nullptr && pg_atomic_read_u32(&pull->holds_snapshot) == 0)
      continue; // others of its run go on
    if (pull != nullptr)
      call([&]() noexcept { mailbox_post_hold_end(pull, kHoldGaveWay); });
    else if (!end_old_holder(held))
      continue;
    asked_.push_back(held.pull_id);
    asked_at_ = Clock::now();
    return;
  }
}

void SlotWait::require_patience() const {
  const Clock::time_point now = Clock::now();
  if (now - began_at_ < budget_ || now - asked_at_ < kLeast)
    return;
  throw no_free_slot("pull again");
}

} // namespace parallel_loader
