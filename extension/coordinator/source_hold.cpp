// source_hold: see source_hold.hpp.
#include "extension/coordinator/source_hold.hpp"

#include "core/base/quote.hpp"
#include "core/base/retry.hpp"
#include "core/source/durable_source.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/coordinator/pull_planner.hpp"
#include "extension/server/base/socket_wait.hpp"

namespace parallel_loader {

namespace {

bool has_block_ranges(const RecordedPull &recorded) {
  return recorded.plan.key == "ctid";
}

std::string resume_call(int64_t pull_id) {
  return "parallel_pull_resume(" + std::to_string(pull_id) + ", new_snapshot => true)";
}

[[noreturn]] void throw_snapshot_lost(const Order &order, const RecordedPull &recorded,
                                      const std::string &reason) {
  const bool is_of_old_version = recorded.plan.source_shape.empty();
  const std::string sentence =
      is_of_old_version
          ? "It was begun by an earlier version of the extension, whose pulls go on only under the "
            "snapshot that their own coordinator holds: empty the table and pull it again."
      : has_block_ranges(recorded)
          ? "Its chunks are ranges of ctid, which mean other rows under another snapshot: empty "
            "the table and pull it again."
          : "If the rows that were pulled already have not changed on the source, " +
                resume_call(order.resume_id) +
                " goes on under a snapshot of now; else empty the table and pull it again.";
  throw Error("55000", "the snapshot of pull " + std::to_string(order.resume_id) + " is lost",
              reason, sentence);
}

void require_same_source(const RecordedPull &recorded, const SourceIdentity &found) {
  const std::string reason = why_other_source(recorded.plan.identity, found);
  if (!reason.empty()) {
    throw Error("55000", "source is not the one that the pull was begun from, or an older state",
                reason, "Name the source that the pull was begun from in src_dsn.");
  }
}

std::string comma_list(const std::vector<int> &numbers) {
  std::string list;
  for (const int number : numbers)
    list += (list.empty() ? "" : ", ") + std::to_string(number);
  return list;
}

// What keeps others from reading a table may last, so waiting_for says it.
std::string lock_text(const Error &error) {
  constexpr std::string_view kCouldNot = "could not lock ";
  const bool is_named = error.message().starts_with(kCouldNot);
  return "a lock on " +
         (is_named ? error.message().substr(kCouldNot.size()) : "a table on the source") +
         ", which another session there has, or waits for";
}

} // namespace

void SourceHold::open(const Order &order, const HeldSnapshot &snapshot) {
  reader_.emplace(order, order.source, snapshot,
                  "parallel_loader coordinator of pull " + std::to_string(pull_id_), waiter_);
}

// A snapshot that version 0.3 has recorded has no lock: nothing but its living holder proves it.
void SourceHold::open_old(const Order &order, const RecordedPull &recorded) {
  if (!recorded.is_held)
    throw SnapshotGone("55000",
                       "it was begun by an earlier version, whose coordinator does not hold it");
  open(order, recorded.plan.snapshot);
  old_holder_ = find_old_holder(reader_->session(), recorded.plan.snapshot.name,
                                recorded.plan.bounds, pull_id_);
}

void SourceHold::require_old_holder_left(const Order &order, const RecordedPull &recorded) {
  constexpr std::chrono::seconds kPatience{5};
  if (!old_holder_)
    return;
  const Clock::time_point end = Clock::now() + kPatience;
  while (!has_left(reader_->session().connection(), *old_holder_)) {
    if (Clock::now() >= end)
      throw_snapshot_lost(order, recorded,
                          "The session that has a snapshot of that name is not the pull's.");
    rest(std::chrono::milliseconds(50));
  }
  old_holder_.reset();
}

void SourceHold::open_recorded(const Order &order, const RecordedPull &recorded) {
  if (recorded.plan.snapshot.lock == 0)
    return open_old(order, recorded);
  try {
    open(order, recorded.plan.snapshot);
  } catch (const SnapshotGone &) {
    throw;
  } catch (const Error &error) {
    if (error.sqlstate() != sqlstate::kCannotConnect)
      throw;
    open(order, {}); // raises the same where no other host is named
    if (reader_->session().connection().place() != recorded.plan.snapshot.place)
      throw SnapshotGone("55000", "the server that has it cannot be reached: " + error.message());
    open(order, recorded.plan.snapshot); // it is back
  }
}

// A pull of a whole table is where a later append may begin.
void SourceHold::note_mark(const PullRequest &request, const PullPlan &plan) {
  leaves_mark_ =
      request.kind == PullKind::kPull && !request.start && !request.end && !plan.relations.empty();
}

bool SourceHold::end_durably() {
  bool is_durable = true;
  try {
    if (leaves_mark_) {
      reader_->session().end();
      is_durable = make_durable(reader_->session().connection());
    }
  } catch (const Error &) { // every row has been read all the same
    is_durable = false;
  }
  close();
  return is_durable;
}

void SourceHold::close() {
  old_holder_.reset();
  reader_.reset();
  has_locks_ = false;
  resumed_ = ResumeSnapshot::kNew;
}

// A session that waited in a queue for locks could be waited for by what stands before it: attempts
// are short, and repeated.
template <class Fn> PullPlan SourceHold::repeat(const Order &order, Fn fn) {
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(order.retry_budget_ms);
  for (Backoff backoff;;) {
    try {
      PullPlan plan = fn();
      has_locks_ = true;
      shared_pull_set_waiting(pull_, "");
      return plan;
    } catch (const Error &error) {
      if (!is_lock_trouble(error.sqlstate()) || Clock::now() >= end)
        throw;
      shared_pull_set_waiting(pull_, lock_text(error).c_str());
    }
    leave_queue();
    rest(backoff.next());
  }
}

// A resume keeps the snapshot that it has come to, while its old holder may have to give way.
void SourceHold::leave_queue() {
  if (reader_ && reader_->holds_snapshot() && resumed_ == ResumeSnapshot::kSame)
    reader_->release_locks();
  else
    close();
}

void SourceHold::release_locks() {
  if (!reader_ || !has_locks_)
    return;
  reader_->release_locks();
  has_locks_ = false;
}

void SourceHold::rest(std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds kSlice{200};
  for (const Clock::time_point end = Clock::now() + time; Clock::now() < end;) {
    call([&]() noexcept { latch_sleep(kSlice.count()); });
    waiter_.nap(std::chrono::microseconds(1)); // heeds a stop
  }
}

PullPlan SourceHold::open_and_plan(const Order &order, int64_t pull_id) {
  pull_id_ = pull_id;
  return repeat(order, [&] { return open_and_plan_once(order); });
}

// What changes between a snapshot of ours and our locks costs nothing but another look.
template <class Fn> PullPlan SourceHold::look_again(Fn fn) {
  constexpr int kAttempts = 5;
  for (int attempt = 1;; attempt++) {
    bool is_new = false; // the snapshot
    try {
      return fn(is_new);
    } catch (const SourceChanged &) {
      if (!is_new || attempt == kAttempts)
        throw;
    }
    close();
  }
}

PullPlan SourceHold::open_and_plan_once(const Order &order) {
  return look_again([&](bool &is_new) {
    is_new = order.snapshot.name.empty();
    open(order, order.snapshot);
    return plan(order);
  });
}

PullPlan SourceHold::plan(const Order &order) {
  PullPlan plan = plan_pull(order, *reader_);
  plan.bounds = reader_->session().snapshot_bounds();
  is_standby_ = plan.identity.is_standby;
  note_mark(order.request, plan);
  return plan;
}

// A pull that has nothing done loses nothing by a new snapshot, unless it shares the old one.
static bool may_take_new(const RecordedPull &recorded, int done_count) {
  return done_count == 0 && !recorded.shares_snapshot;
}

ResumeSnapshot SourceHold::open_snapshot(const Order &order, const RecordedPull &recorded,
                                         int done_count) {
  if (order.new_snapshot) {
    if (has_block_ranges(recorded) && !may_take_new(recorded, done_count))
      throw_snapshot_lost(order, recorded, "A new snapshot was asked for.");
    open(order, {});
    return ResumeSnapshot::kNew;
  }
  try {
    open_recorded(order, recorded);
    return ResumeSnapshot::kSame;
  } catch (const SnapshotGone &gone) { // or never known there
    open(order, {});
    require_same_source(recorded, reader_->session().identity());
    if (!may_take_new(recorded, done_count))
      throw_snapshot_lost(order, recorded, gone.message());
    return ResumeSnapshot::kNew;
  }
}

PullPlan SourceHold::open_for_resume(const Order &order, const RecordedPull &recorded,
                                     const std::vector<ChunkRelation> &relations, int done_count) {
  pull_id_ = order.resume_id;
  return repeat(order,
                [&] { return open_for_resume_once(order, recorded, relations, done_count); });
}

PullPlan SourceHold::open_for_resume_once(const Order &order, const RecordedPull &recorded,
                                          const std::vector<ChunkRelation> &relations,
                                          int done_count) {
  return look_again([&](bool &is_new) {
    if (!reader_)
      resumed_ = open_snapshot(order, recorded, done_count);
    const ResumeSnapshot snapshot = resumed_;
    is_new = snapshot == ResumeSnapshot::kNew;
    require_same_source(recorded, reader_->session().identity());
    if (done_count == 0)
      return plan_untouched({order, recorded, relations, snapshot});
    PullPlan plan = plan_rest({order, recorded, relations, snapshot}, *reader_);
    is_standby_ = plan.identity.is_standby;
    note_mark(order.request, plan);
    return plan;
  });
}

PullPlan SourceHold::plan_untouched(const ResumeRequest &request) {
  Order anew = order_of_untouched(request.order, request.recorded);
  if (request.snapshot == ResumeSnapshot::kSame)
    anew.snapshot = request.recorded.plan.snapshot;
  PullPlan planned;
  try {
    planned = plan(anew);
  } catch (const SourceChanged &) {
    if (!may_take_new(request.recorded, 0))
      throw;
    close();
    anew.snapshot = {};
    planned = open_and_plan_once(anew);
  }
  planned.chunk_change = ChunkChange::kReplaced;
  return planned;
}

void SourceHold::require_alive() {
  try {
    reader_->session().connection().require_open();
  } catch (const Error &error) {
    throw Error(error.sqlstate(),
                "the snapshot of pull " + std::to_string(pull_id_) + " is lost: " + error.message(),
                error.detail(),
                is_standby_ ? "The source is a standby: hot_standby_feedback = on and a longer "
                              "max_standby_streaming_delay keep its replay from ending queries."
                            : "");
  }
}

// A session that is lost meanwhile is a lost snapshot, too.
bool SourceHold::has_waiters() {
  try {
    return reader_->session()
        .connection()
        .exec("SELECT EXISTS (SELECT FROM pg_catalog.pg_locks AS w WHERE NOT w.granted"
              " AND pg_catalog.pg_backend_pid() = ANY (pg_catalog.pg_blocking_pids(w.pid)))")
        .boolean(0, 0);
  } catch (const Error &) {
    require_alive();
    throw;
  }
}

bool SourceHold::is_in_the_way() {
  constexpr std::chrono::seconds kPatience{10};
  const Clock::time_point now = Clock::now();
  if (!reader_ || now < next_look_)
    return false;
  next_look_ = now + std::chrono::seconds(1);
  if (!has_waiters())
    waited_since_.reset();
  else if (!waited_since_)
    waited_since_ = now;
  return waited_since_ && now - *waited_since_ >= kPatience;
}

// By name as well: behind a pooler a backend's number is not the source's.
void SourceHold::end_backends(const std::vector<int> &backends) {
  if (backends.empty())
    return;
  try {
    reader_->session().connection().exec(
        "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity AS a"
        " WHERE a.pid IN (" +
        comma_list(backends) +
        ") AND a.application_name = " + quote_literal(worker_session_name(pull_id_)));
  } catch (const Error &) { // of another role's, or the source is gone: they end with their workers
  }
}

} // namespace parallel_loader
