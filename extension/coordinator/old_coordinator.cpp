#include "extension/coordinator/old_coordinator.hpp"

#include "extension/ledger/pull_refusal.hpp"
#include "extension/server/process/background.hpp"

namespace parallel_loader {

namespace {

// From its first plan on, this version's pulls have a lock; and while the coordinator lives, so
// does its memory.
bool is_old(const FoundPull &found) {
  return !found.has_snapshot_lock && (found.is_live || found.is_held) &&
         AttachedPull(found).get() == nullptr;
}

} // namespace

void refuse_old_coordinator(const FoundPull &found) {
  if (!is_old(found))
    return;
  const int64_t id = found.pull_id;
  throw Error(
      "55000",
      "pull " + std::to_string(id) +
          " was started by an earlier version of the extension, and cannot be joined or changed",
      "Its processes still run the library of that version.",
      "Call " + call_text("parallel_pull_wait", id) + " to wait for its end, or " +
          call_text("parallel_pull_cancel", id) + " to cancel it.");
}

bool cancel_old_coordinator(const FoundPull &found) {
  return is_old(found) && found.is_live &&
         call([&]() noexcept { return background_cancel_coordinator(found.coordinator_pid); });
}

bool end_old_holder(const FoundPull &found) {
  return is_old(found) && found.is_held &&
         call([&]() noexcept { return background_end_coordinator(found.coordinator_pid); });
}

} // namespace parallel_loader
