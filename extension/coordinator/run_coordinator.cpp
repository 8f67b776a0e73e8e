#include "extension/coordinator/run_coordinator.hpp"

#include <algorithm>
#include <utility>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/coordinator/planning.hpp"
#include "extension/coordinator/turn.hpp"
#include "extension/server/base/socket_wait.hpp"
#include "extension/server/process/last_commit.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/plan_ticket.hpp"
#include "extension/server/shared/run_inbox.hpp"
#include "extension/server/shared/throttle.hpp"
#include "extension/server/shared/worker_slots.hpp"

namespace parallel_loader {

namespace {

constexpr int64_t kLingerMs = 500; // after a plan, the next one may still come

int64_t estimate_of(const PullPlan &plan) {
  int64_t sum = 0;
  for (const PlannedChunk &chunk : plan.chunks)
    sum += std::max<int64_t>(chunk.byte_estimate, 1);
  return sum;
}

} // namespace

RunCoordinator::RunCoordinator(SharedPull *run, dsm_handle handle, Request request)
    : run_(run), request_(std::move(request)), record_(run), workers_(run, handle), waiter_(run),
      watchdog_(run, request_, waiter_), source_(waiter_, run), hold_(source_, run),
      endings_(run, record_, hold_, request_.snapshot_hold_ms) {
  request_.pull.owner = run->owner;
  request_.pull.segment = handle;
  request_.pull.begins_run = true;
}

void RunCoordinator::begin() {
  record_.create(request_.pull);
  call([&]() noexcept { shared_pull_enter_phase(run_, kPhaseRecorded); });
  record_.in_transaction([&](Ledger &ledger) {
    const PullPlan plan = plan_new(source_, run_, request_);
    hold_.begin(request_.pull, plan);
    request_.source.conninfo = conninfo_at(request_.source.conninfo, plan.snapshot.place);
    if (!plan.notice.message.empty())
      call([&]() noexcept {
        shared_pull_set_notice(run_, plan.notice.message.c_str(), plan.notice.hint.c_str());
        session_log_notice(run_->pull_id, plan.notice.message.c_str());
      });
    ledger.record_plan(pull_id(), plan);
    note_plan(plan);
    request_.snapshot = plan.snapshot;
  });
  if (worker_slots_counts(run_).chunks == 0)
    run_inbox_touch(run_, pull_id());
  run_->snapshot_taken = GetCurrentTimestamp();
  call([&]() noexcept { shared_pull_enter_phase(run_, kPhasePlanned); });
}

void RunCoordinator::note_plan(const PullPlan &plan) {
  worker_slots_add_chunks(run_, static_cast<int>(plan.chunks.size()), estimate_of(plan));
  pg_atomic_fetch_add_u32(&run_->pull_count, 1);
  endings_.note_plan(request_.run_wait_ms > 0);
  planned_at_ = worked_at_ = GetCurrentTimestamp();
  note_patience();
}

void RunCoordinator::supervise() {
  while (!endings_.have_all_ended() || is_lingering() || run_inbox_has_mail(run_)) {
    waiter_.read_mail();
    if (pg_atomic_read_u32(&run_->stop) != kStopNone)
      throw Stopped();
    take_mail();
    plan_next();
    endings_.look();
    if (endings_.end_of_all()) {
      end_snapshot_durably(); // a resume of it needs no source
      throw Error(*endings_.end_of_all());
    }
    heed_plans();
    const bool is_hurried = slot_wait_ || endings_.is_waiting() || !queue_.is_empty() ||
                            pg_atomic_read_u32(&run_->awaits_plans) != 0;
    const long turn_ms = is_hurried ? kHurriedTurnMs : kTurnMs;
    if (waiter_.has_news() || milliseconds_since(turned_at_) >= kHurriedTurnMs)
      turn();
    if (!run_inbox_has_mail(run_) && !waiter_.take_waited())
      call([&]() noexcept { latch_sleep(turn_ms); });
  }
  if (!endings_.is_any_held())
    end_snapshot_durably();
}

void RunCoordinator::turn() {
  turned_at_ = GetCurrentTimestamp();
  call([]() noexcept { session_reset_memory(); });
  release_if_all_read();
  if (hold_.is_open()) {
    hold_.require_alive();
    if (hold_.is_in_the_way())
      hold_.release_locks();
  }
  replace_lost_workers();
  follow_orders();
  note_running();
  staff();
  watchdog_.look();
  throw_if_abandoned();
  record_.require_there();
}

// Creating one pull after the other, a session comes again within a moment, or has said how long it
// may take: workers that are through with all that there is wait for it, and so does this process.
bool RunCoordinator::is_lingering() const {
  const bool is_of_many =
      pg_atomic_read_u32(&run_->has_run_workers) != 0 || pg_atomic_read_u32(&run_->pull_count) > 1;
  const int64_t wait_ms = request_.run_wait_ms >= 0 ? request_.run_wait_ms
                          : is_of_many              ? kLingerMs
                                                    : 0;
  return hold_.is_open() && (!queue_.is_empty() || milliseconds_since(planned_at_) < wait_ms);
}

void RunCoordinator::heed_plans() {
  const uint32 awaits = is_lingering() ? 1 : 0;
  if (pg_atomic_exchange_u32(&run_->awaits_plans, awaits) != 0 && awaits == 0)
    call([&]() noexcept { worker_slots_wake_idle(run_); });
}

void RunCoordinator::take_mail() {
  RunMessage message;
  while (run_inbox_take(run_, &message))
    take_message(message);
}

void RunCoordinator::take_message(const RunMessage &message) {
  switch (message.news) {
  case kNewsTicket:
    return queue_.add(message.ticket);
  case kNewsFailed:
    return endings_.add(message.pull_id, {PullEvent::kFailure,
                                          {.sqlstate = message.sqlstate,
                                           .message = message.message,
                                           .detail = message.detail,
                                           .hint = message.hint}});
  case kNewsCancelled:
    return endings_.add(message.pull_id,
                        {PullEvent::kCancel,
                         {.sqlstate = "57014", .message = "canceling pull due to user request"}});
  case kNewsForgotten:
    return forget(message.pull_id);
  }
}

// Whoever gives a pull up may say so twice.
void RunCoordinator::forget(int64_t pull_id) {
  bool was_held = false;
  in_run_transaction(
      [&](RunLedger &ledger) { was_held = ledger.let_go(pull_id, "the pull was cancelled"); });
  if (was_held)
    endings_.note_forgotten();
}

Request RunCoordinator::take_request(const PlanTicket &ticket) {
  Request request = parse_request({ticket.request, ticket.request_size});
  request_.run_wait_ms = request.run_wait_ms;
  planned_at_ = GetCurrentTimestamp();
  request.source = request_.source;
  request.snapshot = request_.snapshot;
  request.pull.owner = request_.pull.owner;
  request.pull.source = request_.pull.source;
  request.pull.segment = request_.pull.segment;
  request.pull.coordinator = key();
  return request;
}

void RunCoordinator::plan_next() {
  std::optional<QueuedTicket> ticket = queue_.next();
  if (!ticket)
    return;
  if (!hold_.is_open()) { // every row has been read
    plan_ticket_answer(ticket->ticket, kTicketReturned);
    return release_ticket(*ticket);
  }
  Request request = take_request(*ticket->ticket);
  const auto has_time = [&] {
    return QueuedTicket::Clock::now() - ticket->asked_at <
           std::chrono::milliseconds(request.retry_budget_ms);
  };
  const auto give_up_plan = [&] {
    call([]() noexcept { session_abort(); });
    call([]() noexcept { session_limit_locks(false); });
  };
  PlanTicket &answer = *ticket->ticket;
  try {
    call([]() noexcept { session_limit_locks(true); });
    answer_plan(*ticket, request);
    call([]() noexcept { session_limit_locks(false); });
    return;
  } catch (const Stopped &) {
    give_up_plan();
    release_ticket(*ticket); // as its session sees
    throw;
  } catch (const PgError &error) {
    give_up_plan();
    if (error.is_cancel()) {
      release_ticket(*ticket);
      throw;
    }
    if (error.is_lock_timeout() && has_time())
      return queue_.put_back(*ticket);
    answer.error = error.report();
  } catch (const Error &error) {
    give_up_plan();
    if (is_lock_trouble(error.sqlstate()) && has_time())
      return queue_.put_back(*ticket);
    describe_current_exception(answer.error);
  }
  error_report_detach(&answer.error);
  plan_ticket_answer(ticket->ticket, kTicketAnswered);
  release_ticket(*ticket);
}

// The pull is in the ledger with its plan, or not at all.
void RunCoordinator::answer_plan(QueuedTicket &queued, Request &request) {
  PlanTicket &ticket = *queued.ticket;
  int64_t pull_id = 0;
  PullPlan plan;
  record_.in_transaction([&](Ledger &ledger) {
    plan = plan_joined(source_, request);
    pull_id = ledger.create_pull(request.pull);
    ledger.record_plan(pull_id, plan);
  });
  hold_.add(request.pull, plan);
  note_plan(plan);
  if (plan.chunks.empty())
    run_inbox_touch(run_, pull_id);
  ticket.pull_id = pull_id;
  if (!plan.notice.message.empty()) {
    call([&]() noexcept {
      shared_pull_copy_notice(ticket.notice, plan.notice.message.c_str());
      shared_pull_copy_notice(ticket.notice_hint, plan.notice.hint.c_str());
      session_log_notice(pull_id, plan.notice.message.c_str());
    });
  }
  if (!plan_ticket_answer(&ticket, kTicketAnswered)) // whoever asked will not know that it is there
    endings_.add(pull_id,
                 {PullEvent::kCancel,
                  {.sqlstate = "57014", .message = "the call that created the pull has ended"}});
  release_ticket(queued);
  is_paused_ = false; // what is paused has one more
  call([&]() noexcept { worker_slots_wake_idle(run_); });
}

void RunCoordinator::release_if_all_read() {
  if (endings_.is_any_held() || is_lingering())
    return hold_.note_unread();
  if (hold_.part_from_workers())
    end_snapshot_durably();
}

void RunCoordinator::end_snapshot_durably() {
  if (!hold_.is_open())
    return;
  const bool is_durable = hold_.end_durably();
  in_run_transaction([&](RunLedger &ledger) {
    if (is_durable)
      ledger.note_flushed(key());
    else
      ledger.forget_bounds(key());
  });
  if (!is_durable)
    call([&]() noexcept { session_log_no_mark(run_->pull_id); });
}

void RunCoordinator::replace_lost_workers() {
  constexpr const char *kMessage = "a background worker of the pull was terminated";
  for (const LostWorker &lost : workers_.take_lost()) {
    const bool is_final = lost.trouble_ms >= request_.retry_budget_ms;
    if (lost.chunk != 0) {
      notes_.add(lost.pull_id, lost.chunk, {"57P01", kMessage, is_final});
      run_inbox_touch(run_, lost.pull_id); // it may have gone right after its commit
    }
    if (is_final && lost.chunk != 0)
      endings_.add(lost.pull_id, {PullEvent::kFailure, {.sqlstate = "57P01", .message = kMessage}});
  }
  static_cast<void>(notes_.write());
}

// A pause, and a rate, are those of all workers.
void RunCoordinator::follow_orders() {
  waiter_.read_mail();
  record_limits();
  const bool is_paused = pg_atomic_read_u32(&run_->is_paused) != 0;
  const bool was_paused = is_paused_;
  if (is_paused != was_paused)
    in_run_transaction([&](RunLedger &ledger) {
      if (is_paused)
        ledger.mark_paused(key());
      else
        ledger.mark_unpaused(key());
    });
  is_paused_ = is_paused;
}

void RunCoordinator::note_running() {
  std::vector<int64_t> pulls;
  for (const WorkerSlot &slot : run_->slots)
    if (pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&slot.chunk)) != 0)
      pulls.push_back(slot.pull_id);
  if (!pulls.empty() && !is_paused_)
    in_run_transaction([&](RunLedger &ledger) { ledger.mark_running(pulls); });
}

void RunCoordinator::record_limits() {
  if (!waiter_.take_news())
    return;
  const auto workers = static_cast<int>(pg_atomic_read_u32(&run_->workers_allowed));
  const auto rate_kb = static_cast<int>(pg_atomic_read_u64(&run_->max_rate) / 1024);
  in_run_transaction([&](RunLedger &ledger) {
    ledger.set_limits(key(), workers > 0 ? std::optional(workers) : std::nullopt, rate_kb);
  });
}

// Keeps as many workers as parallel_pull_alter has asked for; else sessions bring them.
void RunCoordinator::staff() {
  if (pg_atomic_read_u32(&run_->is_paused) != 0)
    return;
  const PullCounts counts = worker_slots_counts(run_);
  if (std::exchange(chunks_done_, counts.chunks_done) < counts.chunks_done)
    workers_.note_success();
  const auto allowed = static_cast<int>(pg_atomic_read_u32(&run_->workers_allowed));
  workers_.shrink_to(allowed);
  const int wanted = std::min(allowed, counts.chunks - counts.chunks_done);
  const int live = workers_.grow_to(wanted);
  look_for_slots(wanted > 0 && live == 0 && !workers_.is_resting());
}

// Sessions that bring workers wait for slots by themselves; held pulls give way to them.
// `lacks_workers`: this process is to start some.
void RunCoordinator::look_for_slots(bool lacks_workers) {
  const bool is_awaited = lacks_workers || pg_atomic_read_u32(&run_->slot_waiters) != 0;
  if (!is_awaited || worker_slots_any_running(run_)) {
    pg_atomic_write_u32(&run_->needs_background_slot, 0);
    slot_wait_.reset();
    return;
  }
  if (!slot_wait_)
    slot_wait_.emplace(request_.retry_budget_ms, pull_id());
  pg_atomic_write_u32(&run_->needs_background_slot, 1);
  record_.in_transaction([&](Ledger &) {
    slot_wait_->ask_for_room();
    if (lacks_workers)
      slot_wait_->require_patience();
  });
}

// Returns until when a session may come.
TimestampTz RunCoordinator::note_patience() {
  constexpr int64_t kLeastMs = 60'000; // with no hold at all nobody would have time to join
  const int64_t hold_ms = request_.snapshot_hold_ms > 0 ? request_.snapshot_hold_ms : kLeastMs;
  const TimestampTz end = worked_at_ + hold_ms * 1000;
  pg_atomic_write_u64(&run_->given_up_at, static_cast<uint64>(end));
  return end;
}

// A run whose workers do not come keeps the source from cleaning up dead rows.
void RunCoordinator::throw_if_abandoned() {
  const bool is_worked_on =
      worker_slots_any_used(run_) || pg_atomic_read_u32(&run_->slot_waiters) != 0;
  if (is_worked_on)
    worked_at_ = GetCurrentTimestamp();
  if (GetCurrentTimestamp() > note_patience()) {
    hold_.close();
    throw Error("55000", "no session has worked on the pull for parallel_loader.snapshot_hold",
                "Its snapshot of the source was released.");
  }
}

// What is committed before waits for no standby; this one is for all of it.
void RunCoordinator::end(PullEvent event, const ErrorReport *report) {
  const bool is_resumable =
      pg_atomic_read_u32(&run_->pull_count) > 1 || worker_slots_counts(run_).chunks_done > 0;
  if (report != nullptr && event == PullEvent::kFailure && is_resumable &&
      worker_slots_any_unread(run_))
    endings_.hold_rest();
  workers_.wait_for_processes();
  queue_.return_all();
  if (record_.is_ours()) {
    waiter_.read_mail();
    record_limits();
    static_cast<void>(notes_.write());
    call([&]() noexcept { last_commit_begin(run_); });
    record_.in_transaction([&](Ledger &ledger) {
      SpiExecutor executor(SpiMode::kWrite);
      if (report != nullptr)
        RunLedger(executor).end_all(key(), state_name(state_after(event, PullActor::kCoordinator)),
                                    pull_error(*report));
      if (report == nullptr && endings_.closes_alone())
        RunLedger(executor).mark_done({pull_id()});
      ledger.set_limits(pull_id(), std::nullopt,
                        std::nullopt); // something that is to be replicated
      call([]() noexcept { session_force_flush(); });
      last_commit_seal();
    });
    call([&]() noexcept { last_commit_end(run_); });
  }
  const bool is_holding = is_worth_holding();
  call([&]() noexcept {
    pg_atomic_write_u32(&run_->awaits_plans, 0);
    pg_atomic_write_u32(&run_->holds_snapshot, is_holding ? 1 : 0);
    shared_pull_enter_phase(run_, kPhaseEnded);
  });
  if (record_.is_ours()) {
    last_commit_unseal();
    waiter_.read_mail(); // for the last time: see mailbox
    record_limits();
  }
}

bool RunCoordinator::is_worth_holding() {
  if (!record_.is_ours() || !hold_.is_open() || request_.snapshot_hold_ms <= 0)
    return false;
  return endings_.is_any_held();
}

// Until a resume has taken up the last of the pulls that have failed.
void RunCoordinator::hold_snapshot() {
  const std::string reason = hold_.keep_for_resume(request_.snapshot_hold_ms, waiter_, [&] {
    take_mail();
    queue_.return_all();
    bool has_failed = false;
    in_run_transaction([&](RunLedger &ledger) { has_failed = ledger.has_failed(key()); });
    return std::string(has_failed ? "" : "its pulls were resumed or cancelled");
  });
  end_snapshot_durably();
  in_run_transaction([&](RunLedger &ledger) { ledger.note_hold_ended(key(), reason); });
}

} // namespace parallel_loader
