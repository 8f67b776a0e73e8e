#include "extension/ledger/pull_refusal.hpp"

#include "core/connection/conninfo.hpp"
#include "core/ledger/local_relations.hpp"

#include <algorithm>

#include "extension/server/shared/worker_slots.hpp"

namespace parallel_loader {

namespace {

std::string name_of(const FoundPull &found) {
  return "pull " + std::to_string(found.pull_id);
}

// The ledger keeps no password; the name of a foreign server needs none.
std::string password_hint(const FoundPull &found) {
  return is_conninfo(found.source)
             ? " If its connection string had a password, give it again in src_dsn."
             : "";
}

} // namespace

std::string call_text(const char *function, int64_t pull_id, const std::string &rest) {
  return function + ("(" + std::to_string(pull_id)) + (rest.empty() ? "" : ", ") + rest + ")";
}

std::string live_hint(const FoundPull &found, const SharedPull *pull) {
  const int64_t id = found.pull_id;
  if (found.state == PullState::kPaused) {
    return "Call " +
           call_text("parallel_pull_alter", id,
                     "workers => " + std::to_string(std::max(found.workers, 1))) +
           " to continue it.";
  }
  if (pull != nullptr && found.chunks_left > 0 && !worker_slots_any_used(pull))
    return "Call " + call_text("parallel_pull_work", id) + " to copy its chunks.";
  return "Call " + call_text("parallel_pull_wait", id) + " to wait for its end, or " +
         call_text("parallel_pull_cancel", id) + " to cancel it.";
}

std::string resume_call(int64_t pull_id, std::string_view key, bool is_held) {
  if (is_held)
    return call_text("parallel_pull_resume", pull_id);
  if (key == "ctid") // means other rows under another snapshot
    return {};
  return call_text("parallel_pull_resume", pull_id, "new_snapshot => true");
}

std::string resume_hint(const FoundPull &found) {
  if (found.kind == "append")
    return "Call parallel_pull_append again.";
  if (found.snapshot.empty())
    return "Pull the table again.";
  if (found.is_held)
    return "Call " + call_text("parallel_pull_resume", found.pull_id) +
           " to continue it under the same snapshot.";
  if (!found.is_begun && !found.shares_snapshot)
    return "Call " + call_text("parallel_pull_resume", found.pull_id) + " to start it again." +
           password_hint(found);
  if (!found.is_begun)
    return "Its snapshot, which it shared with other pulls of its run, is lost. Call " +
           call_text("parallel_pull_resume", found.pull_id, "new_snapshot => true") +
           " to start it again under a new one." + password_hint(found);
  if (found.key == "ctid")
    return "Its snapshot is lost, and its chunks are ranges of ctid: empty the table and pull it "
           "again.";
  return "Its snapshot is lost. If the rows that were copied have not changed on the source, "
         "call " +
         call_text("parallel_pull_resume", found.pull_id, "new_snapshot => true") +
         " to continue under a new snapshot. Otherwise empty the table and pull it again." +
         password_hint(found);
}

void require_resumable(const FoundPull &found) {
  if (found.is_live) {
    const AttachedPull attached(found);
    throw Error("55006",
                name_of(found) + " is " + std::string(state_name(found.state)) + " already", "",
                live_hint(found, attached.get()));
  }
  if (found.kind == "append") {
    throw Error("55000", name_of(found) + " cannot be resumed",
                "It is an append. The next append copies what it did not copy.",
                resume_hint(found));
  }
  if (found.state != PullState::kDone && found.snapshot.empty()) {
    throw Error("55000", name_of(found) + " cannot be resumed: it has no plan",
                "It ended while it was being planned. No row was copied.", resume_hint(found));
  }
}

void require_table(const FoundPull &found) {
  if (!found.has_table)
    throw Error(sqlstate::kUndefinedTable,
                "table " + found.table_name + " of " + name_of(found) + " no longer exists", "",
                "Create the table, and pull it again.");
}

void require_joinable(const FoundPull &found) {
  if (!found.is_live) {
    throw Error("55000",
                name_of(found) + " cannot be joined: it is " + std::string(state_name(found.state)),
                "", resume_hint(found));
  }
}

Error changed_while_running(const FoundPull &found, const std::string &change) {
  return {"55000", "table " + found.table_name + " was changed while the pull ran", change,
          found.has_table ? local_change_hint(found.table_name,
                                              call_text("parallel_pull_resume", found.pull_id))
                          : "Create the table, and pull it again."};
}

Error being_changed(int64_t pull_id) {
  return {"55006", "pull " + std::to_string(pull_id) + " is being resumed or changed",
          "Another session is resuming it, or has changed it and not committed yet.",
          "See view parallel_pulls for the outcome, and then try again."};
}

} // namespace parallel_loader
