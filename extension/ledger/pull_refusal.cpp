#include "extension/ledger/pull_refusal.hpp"

#include <algorithm>

#include "extension/server/shared/worker_slots.hpp"

namespace parallel_loader {

namespace {

std::string name_of(const FoundPull &found) {
  return "pull " + std::to_string(found.pull_id);
}

// The ledger keeps no password; the name of a foreign server needs none.
std::string password_hint(const FoundPull &found) {
  const bool is_conninfo =
      found.source.find('=') != std::string::npos || found.source.find("://") != std::string::npos;
  return is_conninfo ? " If its connection string had a password, name it again in src_dsn." : "";
}

} // namespace

std::string call_text(const char *function, int64_t pull_id, const std::string &rest) {
  return function + ("(" + std::to_string(pull_id)) + (rest.empty() ? "" : ", ") + rest + ")";
}

std::string live_hint(const FoundPull &found, const SharedPull *pull) {
  const int64_t id = found.pull_id;
  if (found.state == PullState::kPaused) {
    return call_text("parallel_pull_alter", id,
                     "workers => " + std::to_string(std::max(found.workers, 1))) +
           " lets it go on.";
  }
  if (pull != nullptr && found.chunks_left > 0 && !worker_slots_any_used(pull))
    return call_text("parallel_pull_work", id) + " moves its chunks.";
  return call_text("parallel_pull_wait", id) + " waits for its end, " +
         call_text("parallel_pull_cancel", id) + " ends it.";
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
    return call_text("parallel_pull_resume", found.pull_id) +
           " goes on with it, under the snapshot that is held.";
  if (!found.is_begun && !found.shares_snapshot)
    return call_text("parallel_pull_resume", found.pull_id) + " begins with it anew." +
           password_hint(found);
  if (found.key == "ctid")
    return "Its snapshot is lost, and its chunks are ranges of ctid: empty the table and pull it "
           "again.";
  return "Its snapshot is lost. If the rows that were pulled already have not changed on the "
         "source, " +
         call_text("parallel_pull_resume", found.pull_id, "new_snapshot => true") +
         " goes on under a snapshot of now; else empty the table and pull it again." +
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
                "It is an append: what it did not copy, the next one does.", resume_hint(found));
  }
  if (found.state != PullState::kDone && found.snapshot.empty()) {
    throw Error("55000", name_of(found) + " cannot be resumed: it has no plan",
                "It ended while it was planned: nothing was moved.", resume_hint(found));
  }
}

void require_table(const FoundPull &found) {
  if (!found.has_table)
    throw Error(sqlstate::kUndefinedTable,
                "table " + found.table_name + " of " + name_of(found) + " does not exist any more",
                "", "Make the table anew, and pull it again.");
}

void require_joinable(const FoundPull &found) {
  if (!found.is_live) {
    throw Error("55000",
                name_of(found) + " cannot be joined: it is " + std::string(state_name(found.state)),
                "", resume_hint(found));
  }
}

Error being_changed(int64_t pull_id) {
  return {"55006", "pull " + std::to_string(pull_id) + " is being resumed or changed",
          "Another session resumes it, or has changed it and not committed yet.",
          "View parallel_pulls shows what becomes of it; try again then."};
}

} // namespace parallel_loader
