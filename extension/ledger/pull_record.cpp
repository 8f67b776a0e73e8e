#include "extension/ledger/pull_record.hpp"

#include "extension/server/base/socket_wait.hpp"

namespace parallel_loader {

PullError pull_error(const ErrorReport &report) {
  return {.sqlstate = error_report_sqlstate(&report),
          .message = report.message,
          .detail = report.detail,
          .hint = report.hint};
}

// The lock comes before the commit, so that nobody sees the pull without its coordinator.
void PullRecord::create(const PullRequest &request) {
  while (!try_create(request)) {
  }
}

// Ids begin anew with DROP EXTENSION and CREATE EXTENSION.  A coordinator of the ledger that was
// removed leaves as soon as it finds that out; one that does not keeps its id to itself.
bool PullRecord::try_create(const PullRequest &request) {
  constexpr long kStepMs = 20;
  constexpr int kSteps = 150;
  call([]() noexcept { session_begin(); });
  SpiExecutor executor(SpiMode::kWrite);
  const int64_t pull_id = Ledger(executor).create_pull(request);
  const int64_t key = request.begins_run ? -pull_id : pull_id;
  bool is_locked = false;
  for (int step = 0; !is_locked && step < kSteps; step++) {
    if (step > 0)
      call([]() noexcept { latch_sleep(kStepMs); });
    is_locked = call([&]() noexcept { return session_try_lock_pull(key); });
  }
  if (!is_locked) {
    call([]() noexcept { session_abort(); });
    return false;
  }
  call([]() noexcept { session_commit(); });
  pull_->pull_id = pull_id;
  pull_->coordinator_id = key;
  state_ = PullState::kPlanned;
  return true;
}

void PullRecord::resume(int64_t segment, const PullPlan &plan) {
  in_transaction([&](Ledger &ledger) { ledger.resume_pull(pull_->pull_id, segment, plan); });
  state_ = state_after(PullEvent::kResume, PullActor::kResume);
}

void PullRecord::reopen(int64_t segment) {
  in_transaction([&](Ledger &ledger) { ledger.reopen_pull(pull_->pull_id, segment); });
  state_ = state_after(PullEvent::kResume, PullActor::kResume);
}

void PullRecord::require_there() {
  in_transaction(
      [&](Ledger &ledger) { static_cast<void>(ledger.has_lost_bounds(pull_->pull_id)); });
}

void PullRecord::change(PullEvent event) {
  in_transaction(
      [&](Ledger &ledger) { ledger.change_state(pull_->pull_id, event, PullActor::kCoordinator); });
  if (event == PullEvent::kPause)
    paused_from_ = state();
  state_ = state_after(event, PullActor::kCoordinator);
}

void PullRecord::go_on() {
  change(paused_from_ == PullState::kPlanned ? PullEvent::kGoOnUnbegun : PullEvent::kGoOn);
}

void PullRecord::end(Ledger &ledger, PullEvent event, const ErrorReport *report) {
  ledger.end_pull(pull_->pull_id, event, PullActor::kCoordinator,
                  report != nullptr ? pull_error(*report) : PullError());
  call([]() noexcept { session_force_flush(); });
  state_ = state_after(event, PullActor::kCoordinator);
}

} // namespace parallel_loader
