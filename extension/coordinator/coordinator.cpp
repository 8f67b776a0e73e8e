#include "extension/coordinator/coordinator.hpp"

#include "core/ledger/append_ledger.hpp"
#include "core/ledger/local_relations.hpp"

#include <algorithm>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/coordinator/old_coordinator.hpp"
#include "extension/coordinator/planning.hpp"
#include "extension/coordinator/turn.hpp"
#include "extension/ledger/pull_refusal.hpp"
#include "extension/server/base/socket_wait.hpp"
#include "extension/server/process/handover.hpp"
#include "extension/server/process/last_commit.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/throttle.hpp"
#include "extension/server/shared/worker_slots.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/latch.h"
}

namespace parallel_loader {

void Coordinator::begin() {
  if (request_.kind == RequestKind::kResume)
    resume();
  else
    create();
  start();
}

void Coordinator::create() {
  if (request_.pull.kind == PullKind::kAppend) {
    call([&]() noexcept { session_lock_append(pull_->table); }); // each begins at a mark
    prune_appends();
  }
  record_.create(request_.pull);
  call([&]() noexcept { shared_pull_enter_phase(pull_, kPhaseRecorded); });
  record_.in_transaction([&](Ledger &ledger) {
    const PullPlan plan = plan_new(source_, pull_, request_);
    hold_.begin(request_.pull, plan);
    stay_at(plan.snapshot.place);
    tell(plan.notice);
    ledger.record_plan(pull_id(), plan);
    count_chunks(ledger);
  });
}

void Coordinator::prune_appends() {
  record_.in_transaction([&](Ledger & /*ledger*/) {
    SpiExecutor executor(SpiMode::kWrite);
    AppendLedger(executor).prune(pull_->table);
  });
}

// Who began the pull may wait for its plan, or look into the log.
void Coordinator::tell(const PlanNotice &notice) {
  if (notice.message.empty())
    return;
  call([&]() noexcept {
    shared_pull_set_notice(pull_, notice.message.c_str(), notice.hint.c_str());
    session_log_notice(pull_->pull_id, notice.message.c_str());
  });
}

// Of several resumes one goes on, and looks at the pull once the others cannot change it any more.
FoundPull Coordinator::find_resumable() {
  const int64_t pull_id = request_.resume_id;
  if (!call([&]() noexcept { return session_try_lock_resume(pull_id); }))
    throw being_changed(pull_id);
  call([]() noexcept { session_begin(); });
  FoundPull found = find_pull(pull_id);
  call([]() noexcept { session_commit(); });
  require_resumable(found);
  return found;
}

// The old snapshot is imported before its holder is sent away, so that it lives on.
void Coordinator::resume() {
  const FoundPull found = find_resumable();
  pull_->pull_id = pull_->coordinator_id = request_.resume_id;
  if (found.state == PullState::kDone) { // by a resume that was quicker
    record_.in_transaction([&](Ledger &ledger) { count_chunks(ledger); });
    return;
  }
  if (found.is_read())
    return resume_without_source(found);
  RecordedPull recorded;
  std::vector<ChunkRelation> relations;
  int done_count = 0;
  record_.in_transaction([&](Ledger &ledger) {
    recorded = ledger.load_pull(pull_id());
    relations = ledger.relations(pull_id());
    done_count = ledger.totals(pull_id()).done_count;
  });
  recorded.is_held = found.is_held;
  PullPlan plan;
  record_.in_transaction([&](Ledger & /*ledger*/) {
    plan = plan_resumed(source_, pull_, request_, recorded, relations, done_count);
  });
  hold_.begin(recorded.request, plan);
  stay_at(plan.snapshot.place);
  if (plan.snapshot.lock == recorded.plan.snapshot.lock) // it is the same
    pull_->snapshot_taken = call([&]() noexcept { return handover_snapshot_taken(found.segment); });
  receive_lock(found);
  source_.require_old_holder_left(request_, recorded, done_count);
  record_.resume(request_.pull.segment, plan);
  call([&]() noexcept { handover_tell(found.segment, found.coordinator); });
  call([&]() noexcept { shared_pull_enter_phase(pull_, kPhaseRecorded); });
  call([&]() noexcept { session_unlock_resume(pull_id()); });
  record_.in_transaction([&](Ledger &ledger) { count_chunks(ledger); });
  request_.pull.workers = recorded.request.workers; // as they are under the lock
  throttle_set_rate(pull_, recorded.max_rate_kb * 1024);
  waiter_.read_mail(); // what was posted meanwhile is newer
}

void Coordinator::receive_lock(const FoundPull &found) {
  record_.in_transaction([&](Ledger & /*ledger*/) { end_old_holder(find_pull(pull_id())); });
  call([&]() noexcept { handover_receive(found.segment, pull_id()); });
}

// Nothing is left to be read, so neither source nor snapshot is needed: what failed is the last
// look at the local table, or nobody came to it.
void Coordinator::resume_without_source(const FoundPull &found) {
  receive_lock(found);
  record_.reopen(request_.pull.segment);
  call([&]() noexcept { shared_pull_enter_phase(pull_, kPhaseRecorded); });
  call([&]() noexcept { session_unlock_resume(pull_id()); });
  record_.in_transaction([&](Ledger &ledger) { count_chunks(ledger); });
}

// Whatever else connects to the source is to come to the server that has the snapshot.
void Coordinator::stay_at(const SourcePlace &place) {
  request_.source.conninfo = conninfo_at(request_.source.conninfo, place);
}

void Coordinator::count_chunks(Ledger &ledger) {
  const Ledger::Totals totals = ledger.totals(pull_id());
  PullCounts &counts = pull_->counts; // no worker is there yet
  counts.rows = totals.row_count;
  counts.bytes = totals.byte_count;
  counts.chunks = totals.chunk_count;
  counts.chunks_done = totals.done_count;
  counts.retries = totals.retry_count;
  counts.estimate_all = totals.estimate_all;
  counts.estimate_done = totals.estimate_done;
  chunks_done_ = totals.done_count;
}

void Coordinator::start() {
  if (pull_->snapshot_taken == 0)
    pull_->snapshot_taken = GetCurrentTimestamp();
  const PullCounts counts = worker_slots_counts(pull_);
  uint32 allowed = 0; // unless parallel_pull_alter was quicker
  if (pg_atomic_compare_exchange_u32(&pull_->workers_allowed, &allowed,
                                     static_cast<uint32>(request_.pull.workers)))
    allowed = static_cast<uint32>(request_.pull.workers);
  const int wanted = std::min(static_cast<int>(allowed), counts.chunks - counts.chunks_done);
  const int started = workers_.grow_to(wanted);
  pg_atomic_write_u32(&pull_->workers_wanted, static_cast<uint32>(wanted));
  pg_atomic_write_u32(&pull_->workers_started, static_cast<uint32>(started));
  pg_atomic_write_u32(&pull_->needs_background_slot, wanted > 0 && started == 0 ? 1 : 0);
  call([&]() noexcept { shared_pull_enter_phase(pull_, kPhasePlanned); });
}

void Coordinator::supervise() {
  while (!is_done()) {
    waiter_.read_mail();
    if (pg_atomic_read_u32(&pull_->stop) != kStopNone)
      throw Stopped();
    turn();
    if (!waiter_.take_waited())
      call([&]() noexcept { latch_sleep(slot_wait_ ? kHurriedTurnMs : kTurnMs); });
  }
  end_snapshot_durably();
  require_rows_kept();
}

void Coordinator::turn() {
  call([]() noexcept { session_reset_memory(); });
  release_if_all_read();
  if (hold_.is_open())
    hold_.require_alive();
  give_way();
  replace_lost_workers();
  follow_orders();
  staff();
  watchdog_.look();
}

// Once the last row has been read, nothing is left to be read under the snapshot.
void Coordinator::release_if_all_read() {
  const PullCounts counts = worker_slots_counts(pull_);
  if (counts.chunks_done > chunks_done_)
    workers_.note_success();
  chunks_done_ = counts.chunks_done;
  if (hold_.part_from_workers())
    end_snapshot_durably();
}

// While workers have their locks, a session that wants the source's table alone waits for them.
// Before one has, that is for the coordinator's lock alone, behind which no worker gets its own:
// then others have their turn, and what they made of the table is looked at by the workers.
void Coordinator::give_way() {
  constexpr int64_t kRecentMs = 15'000;
  const auto refused_at = static_cast<TimestampTz>(pg_atomic_read_u64(&pull_->lock_refused_at));
  const bool is_refused = refused_at != 0 && milliseconds_since(refused_at) < kRecentMs;
  if ((is_refused || !worker_slots_any_used(pull_)) && hold_.is_in_the_way())
    hold_.release_locks();
}

// A later append begins at the snapshot's bounds, if a crash of the source cannot make them untrue.
void Coordinator::end_snapshot_durably() {
  if (!hold_.is_open())
    return;
  const bool is_durable = hold_.end_durably();
  record_.in_transaction([&](Ledger &ledger) {
    if (is_durable)
      ledger.note_flushed(pull_id());
    else
      ledger.forget_bounds(pull_id());
  });
  if (!is_durable)
    call([&]() noexcept { session_log_no_mark(pull_->pull_id); });
}

void Coordinator::replace_lost_workers() {
  constexpr const char *kMessage = "a background worker of the pull was terminated";
  for (const LostWorker &lost : workers_.take_lost()) {
    const bool is_final = lost.trouble_ms >= request_.retry_budget_ms;
    if (lost.chunk != 0)
      notes_.add(pull_id(), lost.chunk, {"57P01", kMessage, is_final});
    if (is_final)
      throw Error("57P01", kMessage, "", "See the server log for the reason.");
  }
  static_cast<void>(notes_.write());
}

// Applies what was posted, and writes down what has come of it.
void Coordinator::follow_orders() {
  waiter_.read_mail();
  record_limits();
  const bool is_paused = pg_atomic_read_u32(&pull_->is_paused) != 0;
  const bool has_joined = pg_atomic_read_u32(&pull_->has_joined) != 0;
  if (is_paused && record_.state() != PullState::kPaused)
    record_.change(PullEvent::kPause);
  else if (!is_paused && record_.state() == PullState::kPaused)
    record_.go_on();
  else if (!is_paused && has_joined && record_.state() == PullState::kPlanned)
    record_.change(PullEvent::kWorkerJoined);
}

void Coordinator::record_limits() {
  if (!waiter_.take_news())
    return;
  const auto workers = static_cast<int>(pg_atomic_read_u32(&pull_->workers_allowed));
  const auto rate_kb = static_cast<int>(pg_atomic_read_u64(&pull_->max_rate) / 1024);
  record_.in_transaction([&](Ledger &ledger) {
    ledger.set_limits(pull_id(), workers > 0 ? std::optional(workers) : std::nullopt, rate_kb);
  });
}

// Keeps as many workers as the pull is to have and has chunks for.
void Coordinator::staff() {
  if (pg_atomic_read_u32(&pull_->is_paused) != 0)
    return;
  const PullCounts counts = worker_slots_counts(pull_);
  const auto allowed = static_cast<int>(pg_atomic_read_u32(&pull_->workers_allowed));
  workers_.shrink_to(allowed);
  const int wanted = std::min(allowed, counts.chunks - counts.chunks_done);
  const int live = workers_.grow_to(wanted);
  const bool lacks_workers = wanted > 0 && live == 0 && !workers_.is_resting();
  const bool is_awaited = pg_atomic_read_u32(&pull_->slot_waiters) != 0;
  if ((lacks_workers || is_awaited) && !worker_slots_any_running(pull_))
    await_slot(lacks_workers);
  else
    forget_slot_wait();
}

// `lacks_workers`: the coordinator is to start some.  Sessions that bring workers of their own wait
// for themselves.
void Coordinator::await_slot(bool lacks_workers) {
  if (!slot_wait_)
    slot_wait_.emplace(request_.retry_budget_ms, pull_id());
  pg_atomic_write_u32(&pull_->needs_background_slot, 1);
  record_.in_transaction([&](Ledger &) {
    slot_wait_->ask_for_room();
    if (lacks_workers)
      slot_wait_->require_patience();
  });
}

void Coordinator::forget_slot_wait() {
  pg_atomic_write_u32(&pull_->needs_background_slot, 0);
  slot_wait_.reset();
}

// A worker that goes between its commit and its count leaves the counters behind the ledger.
bool Coordinator::is_done() {
  const PullCounts counts = worker_slots_counts(pull_);
  if (counts.chunks_done < counts.chunks && worker_slots_any_used(pull_))
    return false;
  bool done = false;
  record_.in_transaction([&](Ledger &ledger) {
    const Ledger::Totals totals = ledger.totals(pull_id());
    done = totals.done_count == totals.chunk_count;
  });
  return done;
}

// A pull whose rows were taken away while it ran is not done.  Rows and mark of an append were one
// transaction.
void Coordinator::require_rows_kept() {
  if (request_.pull.kind == PullKind::kAppend)
    return;
  std::optional<std::string> change;
  FoundPull found;
  record_.in_transaction([&](Ledger &) {
    SpiExecutor executor(SpiMode::kWrite);
    change = LocalRelations(executor).why_pull_changed(pull_id());
    if (change)
      found = find_pull(pull_id());
  });
  if (change)
    throw changed_while_running(found, *change);
}

void Coordinator::end(PullEvent event, const ErrorReport *report, bool is_holding) {
  workers_.wait_for_processes();
  if (!record_.is_ours()) {
    tell_end(is_holding);
    return;
  }
  waiter_.read_mail();
  record_limits();
  static_cast<void>(notes_.write());
  call([&]() noexcept { last_commit_begin(pull_); });
  record_.in_transaction([&](Ledger &ledger) {
    record_.end(ledger, event, report);
    last_commit_seal();
  });
  call([&]() noexcept { last_commit_end(pull_); });
  tell_end(is_holding);
  last_commit_unseal();
  waiter_.read_mail(); // for the last time: see mailbox
  record_limits();
}

void Coordinator::tell_end(bool is_holding) {
  call([&]() noexcept {
    pg_atomic_write_u32(&pull_->holds_snapshot, is_holding ? 1 : 0);
    shared_pull_enter_phase(pull_, kPhaseEnded);
  });
}

bool Coordinator::is_worth_holding() {
  if (!record_.is_ours() || !hold_.is_open() || request_.snapshot_hold_ms <= 0 ||
      !worker_slots_any_unread(pull_))
    return false;
  bool shares_snapshot = false;
  record_.in_transaction(
      [&](Ledger &ledger) { shares_snapshot = ledger.load_pull(pull_id()).shares_snapshot; });
  return shares_snapshot || worker_slots_counts(pull_).chunks_done > 0;
}

void Coordinator::hold_snapshot() {
  bool is_resumed = false; // it goes on under the snapshot, and the reason is told to nobody
  const std::string reason = hold_.keep_for_resume(request_.snapshot_hold_ms, waiter_, [&] {
    record_.require_there();
    const auto hold_end = static_cast<HoldEnd>(pg_atomic_read_u32(&pull_->mail.hold_end));
    is_resumed = hold_end == kHoldResumed;
    return std::string(is_resumed                   ? "the pull was resumed"
                       : hold_end == kHoldCancelled ? "the pull was cancelled"
                                                    : "");
  });
  hold_.close();
  if (!is_resumed)
    record_.in_transaction([&](Ledger &ledger) { ledger.note_hold_ended(pull_id(), reason); });
}

} // namespace parallel_loader
