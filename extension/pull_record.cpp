// pull_record: see pull_record.hpp.
#include "extension/pull_record.hpp"

namespace parallel_loader {

// The lock comes before the commit, so that nobody sees the pull without its coordinator.
void PullRecord::create(const PullRequest &request) {
  int64_t pull_id = 0;
  in_transaction([&](Ledger &ledger) {
    pull_id = ledger.create_pull(request);
    call([&]() noexcept { static_cast<void>(session_try_lock_pull(pull_id)); });
  });
  pull_->pull_id = pull_id;
  state_ = PullState::kPlanned;
}

void PullRecord::resume(int64_t segment, const PullPlan &plan) {
  in_transaction([&](Ledger &ledger) { ledger.resume_pull(pull_->pull_id, segment, plan); });
  state_ = target_state(PullEvent::kResume, PullActor::kResume);
}

void PullRecord::reopen(int64_t segment) {
  in_transaction([&](Ledger &ledger) { ledger.reopen_pull(pull_->pull_id, segment); });
  state_ = target_state(PullEvent::kResume, PullActor::kResume);
}

void PullRecord::change(PullEvent event) {
  in_transaction(
      [&](Ledger &ledger) { ledger.change_state(pull_->pull_id, event, PullActor::kCoordinator); });
  if (event == PullEvent::kPause)
    paused_from_ = state();
  state_ = target_state(event, PullActor::kCoordinator);
}

void PullRecord::go_on() {
  change(paused_from_ == PullState::kPlanned ? PullEvent::kGoOnUnbegun : PullEvent::kGoOn);
}

void PullRecord::end(Ledger &ledger, PullEvent event, const ErrorReport *report) {
  ledger.end_pull(pull_->pull_id, event, PullActor::kCoordinator,
                  report != nullptr ? error_report_sqlstate(report) : "",
                  report != nullptr ? report->message : "");
  call([]() noexcept { session_force_flush(); });
  state_ = target_state(event, PullActor::kCoordinator);
}

} // namespace parallel_loader
