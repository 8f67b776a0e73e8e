// control_functions: the SQL functions that join, watch, change and end pulls.
#include "core/base/secret.hpp"

#include <utility>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/guarded_call.hpp"
#include "extension/bridge/scratch_memory.hpp"
#include "extension/bridge/source_address.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/coordinator/old_coordinator.hpp"
#include "extension/coordinator/slot_wait.hpp"
#include "extension/functions/pull_arguments.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/ledger/pull_refusal.hpp"
#include "extension/server/base/notice.hpp"
#include "extension/server/base/socket_wait.hpp"
#include "extension/server/process/background.hpp"
#include "extension/server/process/last_commit.hpp"
#include "extension/server/process/lock_trap.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/process/waiting_session.hpp"
#include "extension/server/process/work_session.hpp"
#include "extension/server/shared/mailbox.hpp"
#include "extension/server/shared/run_inbox.hpp"
#include "extension/server/shared/worker_slots.hpp"
#include "extension/server/sql/result_set.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(parallel_pull_work);
PG_FUNCTION_INFO_V1(parallel_pull_wait);
PG_FUNCTION_INFO_V1(parallel_pull_alter);
PG_FUNCTION_INFO_V1(parallel_pull_cancel);
}

namespace parallel_loader {

namespace {

constexpr int64 kLookAgainMs = 50;

// The bytes of a source of the session's own, for its workers; empty for the pull's.
std::string serialize_source(const std::string &src_dsn, Oid owner) {
  return src_dsn.empty() ? std::string()
                         : serialize_address(resolve_source(src_dsn, owner).address);
}

WorkRequest read_work_request(FunctionCallInfo fcinfo) {
  const bool is_whole = PG_NARGS() > 4 && !fcinfo->args[4].isnull && PG_GETARG_BOOL(4);
  const WorkRequest request = {argument_int(fcinfo, 2, 1), argument_int(fcinfo, 3, 0), is_whole};
  if (request.workers < 1 || request.workers > kMaxWorkers) {
    throw Error(sqlstate::kInvalidParameterValue,
                "\"workers\" must be between 1 and " + std::to_string(kMaxWorkers));
  }
  if (request.max_chunks < 0 || (!fcinfo->args[3].isnull && request.max_chunks == 0))
    throw Error(sqlstate::kInvalidParameterValue, "\"max_chunks\" must be at least 1");
  return request;
}

// A worker would wait for the end of its own chunk, and nobody see why.
void require_other_pull(const FoundPull &found) {
  if (call([]() noexcept { return background_coordinator_id(); }) != found.coordinator)
    return;
  throw Error("55006", "pull " + std::to_string(found.pull_id) + " cannot wait for itself",
              "A worker of the pull calls the function, in a trigger, default or constraint.",
              "Wait in another session.");
}

// The error of a pull of a run that has failed or was cancelled: the whole of it where it was the
// first one.
[[noreturn]] void throw_error_of(const FoundPull &found, SharedPull *run) {
  call([&]() noexcept {
    ErrorReport report;
    if (shared_pull_error(run, &report) &&
        (run->error_pull_id == found.pull_id || run->error_pull_id == 0))
      error_report_raise(&report);
  });
  SpiExecutor executor(SpiMode::kReadLatest);
  const PullError error = Ledger(executor).error_of(found.pull_id);
  const std::string end = "Pull " + std::to_string(found.pull_id) + " " +
                          (found.state == PullState::kFailed ? "failed." : "was cancelled.");
  throw Error(error.sqlstate, error.message, error.detail.empty() ? end : error.detail, error.hint);
}

// The chunks of a pull that is about to end are taken back before.
bool is_about_to_end(int64_t pull_id) {
  SpiExecutor executor(SpiMode::kReadLatest);
  return Ledger(executor).has_withheld_chunks(pull_id);
}

// Chunks that others move may come back from them, so a call that takes all that there is waits for
// their end, too.
bool is_to_return(const WorkRequest &request, int left, int with_workers) {
  return left > (request.max_chunks > 0 ? 0 : with_workers);
}

// Returns how many of its chunks are left.  Throws the error that has ended the pull.
int await_pull_of_run(int64_t pull_id, SharedPull *run, const WorkRequest &request) {
  ScratchMemory memory;
  for (;; memory.reset()) {
    const FoundPull found = find_pull(pull_id);
    if (found.state == PullState::kFailed || found.state == PullState::kCancelled)
      throw_error_of(found, run);
    if (found.state == PullState::kInterrupted)
      call([&]() noexcept { work_session_raise_interrupted(pull_id); });
    if (found.state == PullState::kDone) {
      if (pg_atomic_read_u32(&run->awaits_plans) == 0 && !worker_slots_any_unclaimed(run) &&
          !worker_slots_any_used(run))
        call([&]() noexcept { work_session_wait_for_end(run); });
      return 0;
    }
    const int with_workers = worker_slots_count_at(run, pull_id);
    if (is_to_return(request, found.chunks_left, with_workers) && !is_about_to_end(pull_id))
      return found.chunks_left;
    call([&]() noexcept {
      waiting_session_wait_turn(run, with_workers > 0 ? kLookAgainMs : kLookAgainMs / 5);
    });
  }
}

// Returns how many chunks of the run are left.  What has ended some of its pulls is in the ledger;
// what has ended all is raised.
int await_run(const FoundPull &found, SharedPull *run, const WorkRequest &request) {
  ScratchMemory memory;
  for (;; memory.reset()) {
    if (shared_pull_has_ended(run)) {
      call([&]() noexcept {
        work_session_raise_error(run, found.pull_id);
        last_commit_report(run);
      });
      return 0;
    }
    if (request.max_chunks > 0 || worker_slots_any_unclaimed(run)) {
      SpiExecutor executor(SpiMode::kReadLatest);
      if (const int left = RunLedger(executor).open_chunks(found.coordinator); left > 0)
        return left;
    }
    call([&]() noexcept { waiting_session_wait_turn(run, kLookAgainMs / 5); });
  }
}

// Returns how many chunks are left of a pull whose coordinator brings workers by itself.
int await_pull(const FoundPull &found, SharedPull *pull, const WorkRequest &request) {
  while (request.max_chunks == 0 && !shared_pull_has_ended(pull) && worker_slots_any_undone(pull) &&
         !worker_slots_any_unclaimed(pull))
    call([&]() noexcept { waiting_session_wait_turn(pull, kLookAgainMs); });
  call([&]() noexcept { work_session_raise_error(pull, found.pull_id); });
  const int left = find_pull(found.pull_id).chunks_left;
  if (left == 0)
    call([&]() noexcept { work_session_wait_for_end(pull); });
  return left;
}

int await_rest(const FoundPull &found, SharedPull *pull, const WorkRequest &request) {
  if (!pull->is_run)
    return await_pull(found, pull, request);
  return request.is_of_run ? await_run(found, pull, request)
                           : await_pull_of_run(found.pull_id, pull, request);
}

// Takes chunks until none is left, or as many as were asked for.
WorkResult work_on(const FoundPull &found, const AttachedPull &attached, const WorkRequest &request,
                   const std::string &address) {
  SharedPull *pull = attached.get();
  const int64 only = request.is_of_run ? 0 : found.pull_id;
  call([&]() noexcept { work_session_wait_for_plan(pull); });
  for (WorkResult result = {};; call([&]() noexcept { waiting_session_wait_turn(pull); })) {
    std::string handed_over = address;
    const WipeAtEnd wiped(handed_over);
    const bool lacks_slot = call([&]() noexcept {
      return !work_session_run(attached.segment(), pull, &request, only, handed_over.data(),
                               handed_over.size(), &result);
    });
    if (lacks_slot)
      throw no_free_slot("call " + call_text("parallel_pull_work", found.pull_id) + " again");
    result.remaining = await_rest(found, pull, request);
    if (result.remaining == 0 || request.max_chunks > 0 || shared_pull_has_ended(pull))
      return result;
  }
}

WorkResult work(FunctionCallInfo fcinfo) {
  std::string src_dsn = text_argument(fcinfo, 1);
  const WipeAtEnd wiped_source(src_dsn);
  const WorkRequest request = read_work_request(fcinfo);
  const FoundPull found = find_pull(pull_id_argument(fcinfo));
  if (found.state == PullState::kDone)
    return {};
  require_joinable(found);
  require_other_pull(found);
  call([&]() noexcept { lock_trap_check_before_start(found.table); });
  std::string address = serialize_source(src_dsn, found.owner);
  const WipeAtEnd wiped_address(address);
  wipe(src_dsn); // the call may take long
  const AttachedPull attached(found);
  if (attached.get() == nullptr) {
    const FoundPull now = find_pull(found.pull_id);
    require_joinable(now);
    refuse_old_coordinator(now);
    return {};
  }
  return work_on(found, attached, request, address);
}

int64 milliseconds_until(TimestampTz deadline) {
  return (deadline - GetCurrentTimestamp()) / 1000;
}

// A session that did not start the pull is not woken by it, so it looks again and again.
void wait_for_end(SharedPull *pull, TimestampTz deadline) {
  while (!shared_pull_has_ended(pull)) {
    const int64 left_ms = milliseconds_until(deadline);
    if (left_ms <= 0)
      return;
    call([&]() noexcept {
      waiting_session_wait_turn(pull, static_cast<long>(Min(left_ms, kLookAgainMs)));
    });
  }
}

// The shared memory says when it is time to ask the ledger, which costs more.
std::string wait_for(int64 pull_id, int64 timeout_ms) {
  const TimestampTz deadline =
      timeout_ms < 0 ? DT_NOEND : GetCurrentTimestamp() + timeout_ms * 1000;
  ScratchMemory memory;
  bool is_told = false;
  for (;; memory.reset()) {
    const FoundPull found = find_pull(pull_id);
    if (!found.is_live || milliseconds_until(deadline) <= 0)
      return std::string(state_name(found.state));
    require_other_pull(found);
    const AttachedPull attached(found);
    if (attached.get() != nullptr && attached.get()->is_run) { // each of its pulls ends by itself
      const int64 left_ms = Min(milliseconds_until(deadline), kLookAgainMs);
      call([&]() noexcept {
        waiting_session_wait_turn(attached.get(), static_cast<long>(Max(left_ms, 1)));
      });
    } else if (attached.get() != nullptr) {
      wait_for_end(attached.get(), deadline);
      if (!std::exchange(is_told, true)) // who began the pull may not have waited for its plan
        call([&]() noexcept { waiting_session_report_notice(attached.get()); });
    }
    if (attached.get() == nullptr || !attached.get()->is_run)
      call([]() noexcept { latch_sleep(kLookAgainMs / 5); }); // its coordinator is about to go
  }
}

void require_between(std::optional<int> value, const char *name, int high) {
  if (value && (*value < 0 || *value > high)) {
    throw Error(sqlstate::kInvalidParameterValue,
                "\"" + std::string(name) + "\" must be between 0 and " + std::to_string(high));
  }
}

std::optional<int> int_argument(FunctionCallInfo fcinfo, int number) {
  return fcinfo->args[number].isnull ? std::nullopt
                                     : std::optional(argument_int(fcinfo, number, 0));
}

// Keeps resumes, and others who change the ledger, away from a pull without coordinator until this
// transaction ends.
void lock_for_change(int64_t pull_id) {
  if (!call([&]() noexcept { return transaction_try_lock_resume(pull_id); }))
    throw being_changed(pull_id);
}

// The coordinator of a pull that is alive writes the ledger: this transaction may stay open for
// long, and would keep it from its row.  False when there is no such coordinator.
bool alter_live(const FoundPull &found, const PullLimits &limits) {
  const AttachedPull attached(found);
  if (!found.is_live || attached.get() == nullptr)
    return false;
  return call([&]() noexcept { return mailbox_post_limits(attached.get(), &limits); });
}

void alter(int64_t pull_id, std::optional<int> workers, std::optional<int> max_rate_kb) {
  require_between(workers, "workers", kMaxWorkers);
  require_between(max_rate_kb, "max_rate", PG_INT32_MAX);
  const PullLimits limits = {workers.has_value(), static_cast<uint32>(workers.value_or(0)),
                             max_rate_kb.has_value(), int64{max_rate_kb.value_or(0)} * 1024};
  FoundPull found = find_pull(pull_id);
  if (alter_live(found, limits))
    return;
  if (found.is_live) { // it has just ended
    found = find_pull(pull_id);
    refuse_old_coordinator(found);
  }
  if (found.state == PullState::kDone) {
    throw Error("55000", "pull " + std::to_string(pull_id) + " is done", "",
                "View parallel_pulls shows the state of your pulls.");
  }
  lock_for_change(pull_id);
  SpiExecutor executor(SpiMode::kWrite);
  Ledger(executor).set_limits(pull_id, workers == 0 ? std::nullopt : workers, max_rate_kb);
}

enum class CancelStep { kDone, kTooLate, kAgain };

// What has been decided stays as it is.
void notice_last_wait(const SharedPull *pull) {
  const std::string message = "pull " + std::to_string(pull->pull_id) + " " +
                              (mailbox_stop(pull) == kStopDone ? "is done" : "has ended") +
                              " already";
  call([&]() noexcept {
    notice(message.c_str(), "Its last commit no longer waits for a synchronous standby.", "");
  });
}

// Its coordinator takes it out of the run, or has seen its last chunk before.
CancelStep cancel_in_run(int64_t pull_id, SharedPull *run) {
  RunMessage message = {};
  message.news = kNewsCancelled;
  message.pull_id = pull_id;
  if (!call([&]() noexcept { return run_inbox_post(run, &message); }))
    return CancelStep::kAgain;
  ScratchMemory memory;
  for (;; memory.reset()) {
    const FoundPull now = find_pull(pull_id);
    if (now.state == PullState::kCancelled)
      return CancelStep::kDone;
    if (!now.is_live)
      return CancelStep::kTooLate;
    call([&]() noexcept { waiting_session_wait_turn(run, kLookAgainMs / 5); });
  }
}

CancelStep cancel_live(const FoundPull &found) {
  const AttachedPull attached(found);
  SharedPull *pull = attached.get();
  if (pull == nullptr) // it has just ended, or is of an earlier version
    return cancel_old_coordinator(found) ? CancelStep::kDone : CancelStep::kAgain;
  const bool is_alone =
      pg_atomic_read_u32(&pull->pull_count) <= 1 && pg_atomic_read_u32(&pull->has_run_workers) == 0;
  if (pull->is_run && !is_alone)
    return cancel_in_run(found.pull_id, pull);
  const bool was_waiting = last_commit_waits(pull);
  call([&]() noexcept { mailbox_post_urgent_stop(pull, kStopCancelled); });
  if (was_waiting)
    notice_last_wait(pull);
  return mailbox_stop(pull) == kStopCancelled ? CancelStep::kDone : CancelStep::kTooLate;
}

CancelStep cancel_held(const FoundPull &found) {
  const AttachedPull attached(found);
  if (SharedPull *pull = attached.get(); pull != nullptr && pull->is_run) {
    RunMessage message = {};
    message.news = kNewsForgotten;
    message.pull_id = found.pull_id;
    call([&]() noexcept { run_inbox_post(pull, &message); });
  } else if (pull != nullptr)
    call([&]() noexcept { mailbox_post_hold_end(attached.get(), kHoldCancelled); });
  else if (!end_old_holder(found))
    return CancelStep::kAgain;
  return found.state == PullState::kFailed ? CancelStep::kDone : CancelStep::kTooLate;
}

// Under the lock that a resume takes first, so that none begins.
CancelStep cancel_without_coordinator(const FoundPull &found) {
  SpiExecutor executor(SpiMode::kWrite);
  Ledger(executor).end_pull(found.pull_id, PullEvent::kCancel, PullActor::kCaller,
                            {.sqlstate = "57014", .message = "canceling pull due to user request"});
  return CancelStep::kDone;
}

// With the lock, which it keeps only where it has written something.
CancelStep cancel_locked(int64_t pull_id) {
  const FoundPull found = find_pull(pull_id);
  if (!found.is_live && !found.is_held && found.state == PullState::kInterrupted)
    return cancel_without_coordinator(found);
  call([&]() noexcept { transaction_unlock_resume(pull_id); });
  if (found.is_live)
    return cancel_live(found);
  return found.is_held ? cancel_held(found) : CancelStep::kTooLate;
}

// A resume that has begun, and written nothing yet, is cancelled as the query that it is.  True if
// there was one.
bool cancel_resume(int64_t pull_id) {
  const int pid = find_resumer(pull_id);
  return pid != 0 && call([&]() noexcept { return background_cancel_coordinator(pid); });
}

bool cancel(int64_t pull_id) {
  constexpr long kStepMs = 50;
  constexpr int kSteps = 100;
  bool has_cancelled_resume = false;
  for (int step = 0; step < kSteps; step++) {
    const FoundPull before = find_pull(pull_id);
    if (before.state == PullState::kDone)
      return false;
    CancelStep result = CancelStep::kAgain;
    if (before.is_live)
      result = cancel_live(before);
    else if (call([&]() noexcept { return transaction_try_lock_resume(pull_id); }))
      result = cancel_locked(pull_id);
    else
      has_cancelled_resume = cancel_resume(pull_id) || has_cancelled_resume;
    if (result != CancelStep::kAgain)
      return result == CancelStep::kDone || has_cancelled_resume;
    call([]() noexcept { latch_sleep(kStepMs); });
  }
  throw being_changed(pull_id);
}

} // namespace

} // namespace parallel_loader

using namespace parallel_loader;

Datum parallel_pull_work(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, 1);
    const WorkResult result = work(fcinfo);
    Datum const values[] = {Int32GetDatum(result.chunks), Int64GetDatum(result.rows),
                            Int64GetDatum(result.bytes), Int32GetDatum(result.remaining)};
    return call([&]() noexcept { return result_row(fcinfo, values, lengthof(values)); });
  });
}

Datum parallel_pull_wait(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo);
    int64 const timeout_ms = call([&]() noexcept { return argument_milliseconds(fcinfo, 1); });
    const std::string state = wait_for(pull_id_argument(fcinfo), timeout_ms);
    return call([&]() noexcept { return CStringGetTextDatum(state.c_str()); });
  });
}

Datum parallel_pull_alter(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo);
    alter(pull_id_argument(fcinfo), int_argument(fcinfo, 1), int_argument(fcinfo, 2));
    return Datum(0);
  });
}

Datum parallel_pull_cancel(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo);
    return BoolGetDatum(cancel(argument_bigint(fcinfo, 0, 0)));
  });
}
