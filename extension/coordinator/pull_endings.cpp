#include "extension/coordinator/pull_endings.hpp"

#include "core/ledger/local_relations.hpp"
#include "core/ledger/run_ledger.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/ledger/pull_refusal.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/run_inbox.hpp"
#include "extension/server/shared/worker_slots.hpp"

namespace parallel_loader {

void PullEndings::note_plan(bool is_followed) {
  open_++;
  is_followed_ = is_followed;
  if (!std::exchange(closes_alone_, false))
    return;
  open_++; // the first one does not end with the run any more
  run_inbox_touch(run_, run_->pull_id);
}

void PullEndings::add(int64_t pull, const Ending &ending) {
  endings_.try_emplace(pull, ending);
}

void PullEndings::note_forgotten() noexcept {
  held_ = std::max(held_ - 1, 0);
}

bool PullEndings::is_alone() const {
  return !is_followed_ && pg_atomic_read_u32(&run_->pull_count) <= 1 &&
         pg_atomic_read_u32(&run_->has_run_workers) == 0;
}

void PullEndings::look() {
  take_touched();
  end_pulls();
}

void PullEndings::take_touched() {
  std::array<int64, kMostTouched> touched;
  const int count = run_inbox_take_touched(run_, touched.data());
  if (count == 0)
    return;
  std::optional<std::vector<int64_t>> pulls; // all
  if (count > 0) {
    pulls.emplace(touched.begin(), touched.begin() + count);
    std::ranges::sort(*pulls);
    pulls->erase(std::unique(pulls->begin(), pulls->end()), pulls->end());
  }
  try {
    call([]() noexcept { session_limit_locks(true); });
    close_complete(pulls);
    call([]() noexcept { session_limit_locks(false); });
  } catch (const PgError &error) {
    call([]() noexcept { session_abort(); });
    call([]() noexcept { session_limit_locks(false); });
    if (!error.is_lock_timeout())
      throw;
    if (!pulls)
      return run_inbox_touch_all(run_);
    for (const int64_t pull : *pulls) // to be looked at again
      run_inbox_touch(run_, pull);
  }
}

// A pull whose rows were taken away while it ran is not done.
bool PullEndings::fail_if_changed(LocalRelations &relations, int64_t pull) {
  const std::optional<std::string> change = relations.why_pull_changed(pull);
  if (!change)
    return false;
  const Error error = changed_while_running(find_pull(pull), *change);
  if (is_alone()) {
    end_of_all_ = error;
    return true;
  }
  ErrorReport report;
  error_report_set(&report, "55000", error.message().c_str(), error.detail().c_str(),
                   error.hint().c_str());
  error_report_add_detail(&report, ("Pull " + std::to_string(pull) + " failed.").c_str());
  shared_pull_keep_error(run_, &report, pull);
  add(pull, {PullEvent::kFailure, pull_error(report)});
  return true;
}

void PullEndings::close_complete(const std::optional<std::vector<int64_t>> &touched) {
  if (closes_alone_) // there is nothing else
    return;
  std::vector<int64_t> done;
  record_.in_transaction([&](Ledger & /*ledger*/) {
    SpiExecutor executor(SpiMode::kWrite);
    RunLedger ledger(executor);
    LocalRelations relations(executor);
    done = ledger.find_complete(key(), touched);
    std::erase_if(done, [&](int64_t pull) {
      return endings_.contains(pull) || fail_if_changed(relations, pull);
    });
    closes_alone_ = !done.empty() && is_alone();
    if (!done.empty() && !closes_alone_)
      ledger.mark_done(done);
    std::vector<int64_t> begun = touched.value_or(std::vector<int64_t>());
    std::erase_if(begun, [&](int64_t pull) { return std::ranges::find(done, pull) != done.end(); });
    if (!begun.empty())
      ledger.mark_running(begun);
    call([]() noexcept { session_force_flush(); });
  });
  open_ -= static_cast<int>(done.size());
  if (!done.empty())
    call([&]() noexcept { shared_pull_wake_launchers(run_); });
}

void PullEndings::end_pulls() {
  std::erase_if(
      endings_, [&](const auto &entry) { return try_end(entry.first, entry.second); });
}

// A resume can go on under the snapshot of a pull that has failed, if it has to: where nothing is
// done, and nothing else shares the snapshot, it can have a new one.
bool PullEndings::is_held_for(PullEvent event, const Ledger::Totals &totals) const {
  return event == PullEvent::kFailure && hold_.is_open() && hold_ms_ > 0 &&
         totals.done_count < totals.chunk_count &&
         (pg_atomic_read_u32(&run_->pull_count) > 1 || totals.done_count > 0);
}

// Workers at the pull are told to leave it; their chunks are taken back as they do.
bool PullEndings::try_end(int64_t pull, const Ending &ending) {
  int unrevoked = 0;
  Ledger::Totals totals;
  bool is_open = false;
  record_.in_transaction([&](Ledger &ledger) {
    const FoundPull found = find_pull(pull);
    is_open = found.coordinator == key() && !has_ended(found.state);
    if (!is_open)
      return;
    SpiExecutor executor(SpiMode::kWrite);
    unrevoked = RunLedger(executor).revoke_chunks(pull);
    totals = ledger.totals(pull);
  });
  if (!is_open) // it has ended before
    return true;
  call([&]() noexcept { worker_slots_stop_pull(run_, pull); });
  if (unrevoked > 0 || worker_slots_count_at(run_, pull) > 0)
    return false;
  const bool is_held = is_held_for(ending.event, totals);
  record_.in_transaction([&](Ledger &ledger) {
    totals = ledger.totals(pull);
    ledger.end_pull(pull, ending.event, PullActor::kCoordinator, ending.error);
    SpiExecutor executor(SpiMode::kWrite);
    if (!is_held && totals.done_count < totals.chunk_count)
      RunLedger(executor).let_go(pull, "");
    call([]() noexcept { session_force_flush(); });
  });
  worker_slots_drop_chunks(run_, totals.chunk_count - totals.done_count,
                           totals.estimate_all - totals.estimate_done);
  open_--;
  held_ += is_held ? 1 : 0;
  report_end(pull, ending);
  return true;
}

void PullEndings::report_end(int64_t pull, const Ending &ending) {
  ErrorReport report;
  const PullError &error = ending.error;
  error_report_set(&report, error.sqlstate.c_str(), error.message.c_str(), error.detail.c_str(),
                   error.hint.c_str());
  shared_pull_keep_error(run_, &report, pull);
  call([&]() noexcept {
    session_log_failure(pull, true, error.message.c_str());
    shared_pull_wake_launchers(run_);
  });
}

} // namespace parallel_loader
