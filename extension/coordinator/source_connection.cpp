#include "extension/coordinator/source_connection.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/server/base/socket_wait.hpp"

namespace parallel_loader {

namespace {

using Clock = std::chrono::steady_clock;

bool has_block_ranges(const RecordedPull &recorded) {
  return recorded.plan.key == "ctid";
}

std::string resume_call(int64_t pull_id) {
  return "parallel_pull_resume(" + std::to_string(pull_id) + ", new_snapshot => true)";
}

std::string way_on(const Request &request, const RecordedPull &recorded, int done_count) {
  const bool is_of_old_version = recorded.plan.source_shape.empty();
  if (is_of_old_version)
    return "It was started by an earlier version of the extension, whose pulls continue only under "
           "the snapshot that their own coordinator holds. Empty the table and pull it again.";
  if (done_count == 0)
    return "To start it again under a snapshot that the other pulls of its run do not share, "
           "call " +
           resume_call(request.resume_id) + ".";
  if (has_block_ranges(recorded))
    return "Its chunks are ranges of ctid, which contain other rows under another snapshot. Empty "
           "the table and pull it again.";
  return "If the rows that were copied have not changed on the source, call " +
         resume_call(request.resume_id) +
         " to continue under a new snapshot. Otherwise empty the table and pull it again.";
}

[[noreturn]] void throw_snapshot_lost(const Request &request, const RecordedPull &recorded,
                                      int done_count, const std::string &reason) {
  throw Error("55000", "the snapshot of pull " + std::to_string(request.resume_id) + " is lost",
              reason, way_on(request, recorded, done_count));
}

} // namespace

void require_same_source(const RecordedPull &recorded, const SourceIdentity &found) {
  const std::string reason = why_other_source(recorded.plan.identity, found);
  if (!reason.empty()) {
    throw Error("55000",
                "source is not the one that the pull was started from, or is an older state of it",
                reason, "Give the source that the pull was started from in src_dsn.");
  }
}

bool may_take_new_snapshot(const RecordedPull &recorded, int done_count) {
  return done_count == 0 && !recorded.shares_snapshot;
}

void SourceConnection::open(const Request &request, const HeldSnapshot &snapshot) {
  reader_.emplace(request, request.source, snapshot,
                  "parallel_loader coordinator of pull " + std::to_string(pull_->pull_id), waiter_);
}

// A snapshot that version 0.3 has recorded has no lock: nothing but its living holder proves it.
void SourceConnection::open_old(const Request &request, const RecordedPull &recorded) {
  if (!recorded.is_held)
    throw SnapshotGone("55000",
                       "it was started by an earlier version, whose coordinator does not hold it");
  open(request, recorded.plan.snapshot);
  old_holder_ = find_old_holder(reader_->session(), recorded.plan.snapshot.name,
                                recorded.plan.bounds, pull_->pull_id);
}

void SourceConnection::require_old_holder_left(const Request &request, const RecordedPull &recorded,
                                               int done_count) {
  constexpr std::chrono::seconds kPatience{5};
  if (!old_holder_)
    return;
  const Clock::time_point end = Clock::now() + kPatience;
  while (!has_left(reader_->session().connection(), *old_holder_)) {
    if (Clock::now() >= end)
      throw_snapshot_lost(request, recorded, done_count,
                          "The session that has a snapshot of that name is not the pull's.");
    rest(std::chrono::milliseconds(50));
  }
  old_holder_.reset();
}

void SourceConnection::open_recorded(const Request &request, const RecordedPull &recorded) {
  if (recorded.plan.snapshot.lock == 0)
    return open_old(request, recorded);
  try {
    open(request, recorded.plan.snapshot);
  } catch (const SnapshotGone &) {
    throw;
  } catch (const Error &error) {
    if (error.sqlstate() != sqlstate::kCannotConnect)
      throw;
    open(request, {}); // raises the same where no other host is named
    if (reader_->session().connection().place() != recorded.plan.snapshot.place)
      throw SnapshotGone("55000", "the server that has it cannot be reached: " + error.message());
    open(request, recorded.plan.snapshot); // it is back
  }
}

ResumeSnapshot SourceConnection::open_snapshot(const Request &request, const RecordedPull &recorded,
                                               int done_count) {
  if (request.new_snapshot) {
    if (has_block_ranges(recorded) && done_count > 0)
      throw_snapshot_lost(request, recorded, done_count, "A new snapshot was requested.");
    open(request, {});
    return ResumeSnapshot::kNew;
  }
  try {
    open_recorded(request, recorded);
    return ResumeSnapshot::kSame;
  } catch (const SnapshotGone &gone) { // or never known there
    open(request, {});
    require_same_source(recorded, reader_->session().identity());
    if (!may_take_new_snapshot(recorded, done_count))
      throw_snapshot_lost(request, recorded, done_count, gone.message());
    return ResumeSnapshot::kNew;
  }
}

ResumeSnapshot SourceConnection::open_for_resume(const Request &request,
                                                 const RecordedPull &recorded, int done_count) {
  if (!reader_)
    resumed_ = open_snapshot(request, recorded, done_count);
  require_same_source(recorded, reader_->session().identity());
  return resumed_;
}

void SourceConnection::release_locks() {
  if (!reader_ || !has_locks_)
    return;
  reader_->release_locks();
  has_locks_ = false;
}

void SourceConnection::take_back() noexcept {
  try {
    reader_->release_locks();
  } catch (...) { // whoever holds the snapshot sees that the session is lost
  }
}

// A resume keeps the snapshot that it has come to, while its old holder may have to give way.
void SourceConnection::leave_queue() {
  if (reader_ && reader_->holds_snapshot() && resumed_ == ResumeSnapshot::kSame)
    reader_->release_locks();
  else
    close();
}

void SourceConnection::rest(std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds kSlice{200};
  for (const Clock::time_point end = Clock::now() + time; Clock::now() < end;) {
    call([&]() noexcept { latch_sleep(kSlice.count()); });
    waiter_.nap(std::chrono::microseconds(1)); // heeds a stop
  }
}

void SourceConnection::close() {
  old_holder_.reset();
  reader_.reset();
  has_locks_ = false;
  resumed_ = ResumeSnapshot::kNew;
}

} // namespace parallel_loader
