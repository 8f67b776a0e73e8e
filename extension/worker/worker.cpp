#include "extension/worker/worker.hpp"

#include "core/base/retry.hpp"
#include "core/connection/conninfo.hpp"
#include "core/ledger/pull_state.hpp"
#include "core/source/source_session.hpp"

#include <map>
#include <string_view>
#include <utility>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/ledger/attempt_notes.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/run_inbox.hpp"
#include "extension/server/shared/throttle.hpp"
#include "extension/server/shared/worker_slots.hpp"
#include "extension/worker/chunk_mover.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace parallel_loader {

namespace {

class Worker {
public:
  explicit Worker(const WorkerContext &context) : context_(context), mover_(context) {}

  /// Moves chunks until none is left for this worker.  Returns false when it failed.
  bool run();

private:
  enum class Attempt { kMoved, kAwaited, kPlansAwaited, kLeftPull, kNoneLeft, kFailed };

  Attempt attempt();
  [[nodiscard]] bool may_begin_chunk();
  [[nodiscard]] bool is_being_stopped() const;
  [[nodiscard]] bool is_to_leave_pull() const;
  [[nodiscard]] bool is_of_whole_run() const;
  [[nodiscard]] bool may_come_plans() const;
  [[nodiscard]] bool has_own_source() const;
  [[nodiscard]] bool has_own_trouble() const;
  [[nodiscard]] bool is_failure_of_pull(int chunk) const;
  [[nodiscard]] int done_count() const;
  [[nodiscard]] int64 pull_id() const;
  [[nodiscard]] bool leave_pull();
  void wait_for_plans();
  int64 note_trouble();
  bool give_up_pull(int chunk);
  bool go_on_after_failure();
  void leave_to_others();
  void wait_for_others();
  [[nodiscard]] bool has_others_at_source() const;
  void give_up(int chunk);
  void describe_loss(const SnapshotGone &gone);
  void locate(int chunk);
  [[nodiscard]] std::string lock_hint() const;
  [[nodiscard]] std::string duplicates_hint() const;
  [[nodiscard]] bool is_resumable() const;
  [[nodiscard]] std::string password_hint() const;
  void tell_ledger(int chunk, bool is_final);
  void leave();
  void rest(std::chrono::milliseconds time);

  const WorkerContext &context_;
  ChunkMover mover_;
  AttemptNotes notes_;
  Backoff backoff_;
  std::map<int64_t, TimestampTz> troubles_; // pulls of a run that fail, since when
  TimestampTz own_trouble_since_ = 0;       // of a source of its own; 0: none
  ErrorReport failure_ = {};                // of the last attempt
  PullStop reason_ = kStopFailed;
  bool may_retry_ = false;
  bool is_snapshot_gone_ = false;
  bool is_source_lost_ = false;
  bool is_source_trouble_ = false; // but for values that cannot be read
  bool is_refused_lock_ = false;   // on the source
};

bool Worker::run() {
  for (;;) {
    switch (attempt()) {
    case Attempt::kNoneLeft:
      leave();
      return true;
    case Attempt::kMoved:
      backoff_.reset();
      troubles_.erase(mover_.pull_id());
      own_trouble_since_ = 0;
      static_cast<void>(notes_.write());
      break;
    case Attempt::kAwaited:
      wait_for_others();
      break;
    case Attempt::kPlansAwaited:
      wait_for_plans();
      break;
    case Attempt::kLeftPull:
      if (!leave_pull())
        return true;
      break;
    case Attempt::kFailed:
      if (is_being_stopped()) { // what a stop interrupts is no failure
        call([]() noexcept { session_abort(); });
        return true;
      }
      if (is_to_leave_pull()) {
        if (!leave_pull())
          return true;
        break;
      }
      if (!go_on_after_failure())
        return false;
      break;
    }
  }
}

Worker::Attempt Worker::attempt() {
  reason_ = kStopFailed;
  is_refused_lock_ = is_source_lost_ = is_source_trouble_ = false;
  const bool was_snapshot_gone = std::exchange(is_snapshot_gone_, false);
  try {
    if (!may_begin_chunk())
      return is_to_leave_pull() ? Attempt::kLeftPull : Attempt::kNoneLeft;
    if (mover_.move_next())
      return Attempt::kMoved;
    if (may_come_plans())
      return Attempt::kPlansAwaited;
    return mover_.may_be_needed() ? Attempt::kAwaited : Attempt::kNoneLeft;
  } catch (const PgError &error) {
    failure_ = error.report();
    reason_ = error.is_cancel() ? kStopCancelled : kStopFailed;
  } catch (const SnapshotGone &gone) {
    describe_loss(gone);
    // The coordinator, which held it, may know more: it is given the time of one retry.
    is_snapshot_gone_ = is_source_trouble_ = true;
    may_retry_ = !was_snapshot_gone;
    return Attempt::kFailed;
  } catch (const Error &error) {
    describe_current_exception(failure_);
    may_retry_ = is_worth_retrying_on_source(error.sqlstate());
    is_source_lost_ = error.sqlstate().starts_with("08");
    is_source_trouble_ = !error.sqlstate().starts_with("22");
    is_refused_lock_ = is_lock_trouble(error.sqlstate());
    return Attempt::kFailed;
  } catch (...) {
    describe_current_exception(failure_);
  }
  may_retry_ = reason_ == kStopFailed && is_worth_retrying(error_report_sqlstate(&failure_));
  return Attempt::kFailed;
}

void Worker::describe_loss(const SnapshotGone &gone) {
  const std::string pull = std::to_string(pull_id());
  if (has_own_source()) {
    const std::string message =
        "the source in src_dsn does not have the snapshot of pull " + pull + ": " + gone.message();
    return error_report_set(&failure_, "22023", message.c_str(), gone.detail().c_str(),
                            "Give the pull's own source in src_dsn.");
  }
  const std::string message = "the snapshot of pull " + pull + " is lost: " + gone.message();
  error_report_set(&failure_, "08006", message.c_str(), gone.detail().c_str(),
                   "Resume the pull, and see what it says.");
}

bool Worker::may_begin_chunk() {
  WorkerSlot &slot = context_.pull->slots[context_.slot];
  if (!call([&]() noexcept { return throttle_pass(context_.pull, &slot, 0); }))
    return false;
  const bool is_surplus = pg_atomic_read_u32(&slot.is_surplus) != 0;
  return !is_surplus &&
         (context_.session == nullptr || shared_session_take_chunk(context_.session));
}

bool Worker::is_being_stopped() const {
  return pg_atomic_read_u32(&context_.pull->slots[context_.slot].is_told_to_stop) == kOrderStop ||
         pg_atomic_read_u32(&context_.pull->stop) != kStopNone;
}

bool Worker::is_to_leave_pull() const {
  return worker_slot_is_to_leave_pull(&context_.pull->slots[context_.slot]);
}

bool Worker::is_of_whole_run() const {
  return context_.pull->is_run && (context_.session == nullptr || context_.session->pull_id == 0);
}

// The pull of the chunk has ended.  Returns false where it is all that this worker is there for.
bool Worker::leave_pull() {
  call([]() noexcept { session_abort(); });
  mover_.disconnect();
  worker_slot_chunk_failed(context_.pull, context_.slot, false);
  call([&]() noexcept { worker_slot_left_pull(&context_.pull->slots[context_.slot]); });
  if (context_.session != nullptr)
    shared_session_return_chunk(context_.session);
  return is_of_whole_run();
}

bool Worker::may_come_plans() const {
  return is_of_whole_run() && pg_atomic_read_u32(&context_.pull->awaits_plans) != 0;
}

// The coordinator wakes whoever waits here when it has planned a pull.
void Worker::wait_for_plans() {
  constexpr long kStepMs = 100;
  constexpr long kBusyMs = 10; // chunks of a pull that is about to end
  if (context_.session != nullptr)
    shared_session_return_chunk(context_.session);
  static_cast<void>(notes_.write());
  if (worker_slots_any_unclaimed(context_.pull))
    call([]() noexcept { latch_sleep(kBusyMs); });
  WorkerSlot &slot = context_.pull->slots[context_.slot];
  while (!is_being_stopped() && pg_atomic_read_u32(&slot.is_surplus) == 0 && may_come_plans() &&
         !worker_slots_any_unclaimed(context_.pull))
    call([]() noexcept { latch_sleep(kStepMs); });
}

// Of the session's own source; of one pull of a run, whose others may go well all the time; else of
// all.
int64 Worker::note_trouble() {
  if (has_own_trouble()) {
    worker_slot_chunk_dropped(context_.pull, context_.slot);
    const TimestampTz now = GetCurrentTimestamp();
    if (own_trouble_since_ == 0)
      own_trouble_since_ = now;
    return (now - own_trouble_since_) / 1000;
  }
  const int64 trouble_ms = worker_slot_chunk_failed(context_.pull, context_.slot, may_retry_);
  if (!context_.pull->is_run || mover_.chunk() == 0)
    return trouble_ms;
  // It runs, though nobody may have a chunk of it while workers rest.
  run_inbox_touch(context_.pull, mover_.pull_id());
  constexpr size_t kMost = 100; // pulls that fail at once
  if (troubles_.size() >= kMost)
    troubles_.erase(troubles_.begin());
  const TimestampTz now = GetCurrentTimestamp();
  TimestampTz &since = troubles_.try_emplace(mover_.pull_id(), now).first->second;
  if (pg_atomic_read_u32(&context_.pull->is_paused) != 0)
    since = now;
  return (now - since) / 1000;
}

// A pull of a run fails by itself, unless what failed is the source, or its snapshot.
bool Worker::is_failure_of_pull(int chunk) const {
  return context_.pull->is_run && chunk != 0 && !is_snapshot_gone_ && !is_source_lost_;
}

bool Worker::has_own_source() const {
  return context_.session != nullptr && context_.session->address.size > 0;
}

bool Worker::has_own_trouble() const {
  return has_own_source() && is_source_trouble_;
}

// Returns true when there is to be another attempt, after a rest; else the pull has failed, or the
// session whose own source this worker reads, which leaves the chunk to others.
bool Worker::go_on_after_failure() {
  const int chunk = mover_.chunk();
  call([]() noexcept { session_abort(); });
  mover_.disconnect();
  if (is_refused_lock_)
    pg_atomic_write_u64(&context_.pull->lock_refused_at,
                        static_cast<uint64>(GetCurrentTimestamp()));
  const int64 trouble_ms = note_trouble();
  if (!may_retry_ || trouble_ms >= context_.request.retry_budget_ms) {
    if (has_own_trouble()) {
      shared_session_fail(context_.session, &failure_);
      return false;
    }
    if (is_failure_of_pull(chunk))
      return give_up_pull(chunk);
    give_up(chunk);
    return false;
  }
  tell_ledger(chunk, false);
  if (context_.session != nullptr)
    shared_session_return_chunk(context_.session);
  rest(backoff_.next());
  if (is_refused_lock_)
    leave_to_others();
  return true;
}

// No chunk is to be had, but one may come back that only a session such as this worker's can read.
void Worker::wait_for_others() {
  constexpr long kStepMs = 20;
  if (context_.session != nullptr)
    shared_session_return_chunk(context_.session);
  WorkerSlot &slot = context_.pull->slots[context_.slot];
  while (!is_being_stopped() && pg_atomic_read_u32(&slot.is_surplus) == 0 &&
         mover_.may_be_needed() && !worker_slots_any_unclaimed(context_.pull))
    call([]() noexcept { latch_sleep(kStepMs); });
}

// A session of ours that has its lock on the source stands before the queue in which this worker
// would wait: it can move the chunk, as long as that is not claimed here time and again.
void Worker::leave_to_others() {
  constexpr std::chrono::milliseconds kStep{200};
  while (!is_being_stopped() && has_others_at_source())
    rest(kStep);
}

bool Worker::has_others_at_source() const {
  for (int slot = 0; slot < kMaxWorkers; slot++)
    if (slot != context_.slot && pg_atomic_read_u32(&context_.pull->slots[slot].source_pid) != 0)
      return true;
  return false;
}

// Everything that a worker's failure changes: the pull's error, the chunk's row.
void Worker::give_up(int chunk) {
  call([]() noexcept { session_hold_cancel(); }); // the coordinator stops all workers now
  locate(chunk);
  call([&]() noexcept { shared_pull_fail(context_.pull, &failure_, reason_); });
  tell_ledger(chunk, true);
  constexpr std::chrono::milliseconds kStep{50};
  constexpr int kSteps = 40;
  for (int step = 0; step < kSteps && !notes_.write(); step++)
    call([&]() noexcept { latch_sleep(kStep.count()); });
}

// The coordinator ends the pull.  Returns true when this worker goes on with others.
bool Worker::give_up_pull(int chunk) {
  locate(chunk);
  shared_pull_keep_error(context_.pull, &failure_, mover_.pull_id());
  tell_ledger(chunk, true);
  RunMessage message = {.news = reason_ == kStopCancelled ? kNewsCancelled : kNewsFailed,
                        .ticket = 0,
                        .pull_id = mover_.pull_id(),
                        .sqlstate = {},
                        .message = {},
                        .detail = {},
                        .hint = {}};
  call([&]() noexcept {
    run_message_set_error(&message, &failure_);
    run_inbox_post(context_.pull, &message);
  });
  troubles_.erase(mover_.pull_id());
  if (context_.session != nullptr)
    shared_session_return_chunk(context_.session);
  return is_of_whole_run();
}

// An append that is refused was not in the middle of its only chunk.
void Worker::locate(int chunk) {
  const bool has_place = mover_.pull().kind != PullKind::kAppend || mover_.is_copying();
  std::string sentence = "Pull " + std::to_string(pull_id()) + " failed";
  sentence += chunk != 0 && has_place ? " at chunk " + std::to_string(chunk) + "." : ".";
  error_report_add_detail(&failure_, sentence.c_str());
  if (failure_.sqlerrcode == ERRCODE_UNIQUE_VIOLATION && failure_.hint[0] == '\0')
    strlcpy(failure_.hint, duplicates_hint().c_str(), sizeof(failure_.hint));
  if (is_refused_lock_)
    strlcpy(failure_.hint, lock_hint().c_str(), sizeof(failure_.hint));
}

// What to do once the lock is free: another session of the source has it.
std::string Worker::lock_hint() const {
  constexpr const char *kThen = " when that session has released the lock.";
  if (mover_.pull().kind == PullKind::kAppend)
    return std::string("Call parallel_pull_append again") + kThen;
  if (!is_resumable())
    return std::string("Pull again") + kThen;
  return "Call parallel_pull_resume(" + std::to_string(pull_id()) + ")" + kThen + password_hint();
}

// An append brings what was changed as new rows.  Where chunks have come without a duplicate, the
// table had some strange rows, and else it had mostly been pulled before.
std::string Worker::duplicates_hint() const {
  if (mover_.pull().kind == PullKind::kAppend)
    return "If the row was changed on the source, delete its old version on the destination and "
           "call parallel_pull_append again.";
  const std::string resume =
      "remove the conflicting row and call parallel_pull_resume(" + std::to_string(pull_id()) + ")";
  if (done_count() == 0)
    return "If the table has rows of the source already, empty it and pull it again, or let "
           "parallel_pull_append copy the rows that were added since. Otherwise " +
           resume + "." + password_hint();
  if (!is_resumable())
    return kBeginAnew;
  return "To keep the chunks that are done, " + resume +
         ". Otherwise empty the table and pull it again." + password_hint();
}

bool Worker::is_resumable() const {
  return context_.request.snapshot_hold_ms > 0 || done_count() == 0;
}

// Of the pull.  Its transaction is over.
int Worker::done_count() const {
  if (!context_.pull->is_run)
    return worker_slots_counts(context_.pull).chunks_done;
  int count = 0;
  try {
    call([]() noexcept { session_begin(); });
    SpiExecutor executor(SpiMode::kReadLatest);
    count = Ledger(executor).totals(mover_.pull_id()).done_count;
    call([]() noexcept { session_commit(); });
  } catch (const PgError &) { // a hint is all that is at stake
    call([]() noexcept { session_abort(); });
  }
  return count;
}

// For messages: the run's first one while this worker has come to none.
int64 Worker::pull_id() const {
  return mover_.pull_id() != 0 ? mover_.pull_id() : context_.pull->pull_id;
}

std::string Worker::password_hint() const {
  const std::string &source = mover_.pull().source;
  return is_conninfo(source) && !context_.source.conninfo.get("password").empty()
             ? " If its connection string had a password, give it again in src_dsn."
             : "";
}

// The ledger may be what failed; the pull's error says all the same what happened first.
void Worker::tell_ledger(int chunk, bool is_final) {
  if (chunk != 0)
    notes_.add(pull_id(), chunk, {error_report_sqlstate(&failure_), failure_.message, is_final});
  static_cast<void>(notes_.write());
}

// Notes may wait for those who have taken the chunks.
void Worker::leave() {
  constexpr std::chrono::milliseconds kStep{100};
  while (!notes_.write() && !is_being_stopped())
    rest(kStep);
}

void Worker::rest(std::chrono::milliseconds time) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kSlice{200};
  for (const Clock::time_point end = Clock::now() + time; Clock::now() < end;) {
    if (is_being_stopped())
      return;
    call([&]() noexcept { latch_sleep(kSlice.count()); });
  }
}

} // namespace

bool run_worker(const WorkerContext &context) {
  try {
    Worker worker(context);
    return worker.run();
  } catch (const PgError &error) { // a cancel between two chunks
    // What a stop interrupts is no failure, nor somebody's wish to cancel all.
    if (pg_atomic_read_u32(&context.pull->slots[context.slot].is_told_to_stop) != kOrderNone) {
      call([]() noexcept { session_abort(); });
      return true;
    }
    ErrorReport report = error.report();
    shared_pull_fail(context.pull, &report, error.is_cancel() ? kStopCancelled : kStopFailed);
  } catch (...) {
    ErrorReport report;
    describe_current_exception(report);
    shared_pull_fail(context.pull, &report, kStopFailed);
  }
  call([]() noexcept { session_abort(); });
  return false;
}

} // namespace parallel_loader
