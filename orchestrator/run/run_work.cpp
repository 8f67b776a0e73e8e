#include "orchestrator/run/run_work.hpp"

#include "orchestrator/run/reconnection.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <algorithm>
#include <span>
#include <thread>
#include <unordered_map>
#include <utility>

namespace parallel_loader {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kTurn{200};
/// A look at many pulls takes its time: it is not to take more than a part of all.
constexpr int kLookShare = 10;

bool has_come_to_an_end(const PullView &pull) noexcept {
  return has_ended(pull.state) || pull.state == PullState::kInterrupted;
}

/// What the ledger says now; names and what was found out here stay.
void bring_up_to_date(PullView &pull, PullView &&now) {
  now.source_table = std::move(pull.source_table);
  now.table = std::move(pull.table);
  now.is_partial = now.is_partial || pull.is_partial;
  // Of a whole table the source has said how large it is: a total that is shown does not jump.
  if (pull.estimated_bytes > 0 && (!now.is_partial || now.estimated_bytes == 0))
    now.estimated_bytes = pull.estimated_bytes;
  now.rows_before = pull.rows_before;
  now.bytes_before = pull.bytes_before;
  now.verify = pull.verify;
  now.chunk_list = std::move(pull.chunk_list);
  now.moving_since = pull.moving_since;
  now.moved_for = pull.moved_for;
  pull = std::move(now);
}

} // namespace

RunWork::RunWork(OpenMover open, const Interrupt &interrupt, RunView &view)
    : open_(std::move(open)), view_(view), interrupt_(interrupt), waiter_(interrupt) {}

Mover &RunWork::mover() {
  if (!mover_)
    mover_ = open_(waiter_);
  return *mover_;
}

RunEnd RunWork::carry_out(const RunOrders &orders, const RunWatcher &watcher) {
  RunEnd end;
  static_cast<void>(mover());
  waiter_.hold_on(); // to say how the pulls are after an interrupt
  RunBoard board(orders.joined_pull, orders.session_count);
  std::vector<PlanStep> steps;
  awaited_.assign(view_.pulls.size(), std::nullopt);
  for (const TableWork &work : orders.work) {
    steps.push_back(work.step);
    awaited_[work.table] = std::exchange(view_.pulls[work.table].state, PullState::kPlanned);
  }
  RunThreads threads(board, open_, std::move(steps), orders.session_count);
  try {
    while (!threads.is_finished()) {
      // Once raised it stays readable, so it is waited for only once.
      wait_for_any({board.is_stopped() ? -1 : interrupt_.fd(), threads.finished_fd()}, kTurn);
      take_outcomes(board, orders.work, end.plan_failures);
      for (const std::string &notice : board.take_notices())
        watcher.note(notice);
      end.is_interrupted = interrupt_.is_raised();
      end.is_stopped = end.is_stopped || (orders.stops_on_error && has_failed_table());
      if ((end.is_interrupted || end.is_stopped) && !board.is_stopped())
        board.stop();
      look(watcher);
    }
    take_outcomes(board, orders.work, end.plan_failures);
    settle(watcher);
  } catch (const Failure &failure) {
    end.lost = failure;
  } catch (const Error &error) {
    end.lost = Failure(ExitStatus::kFailed, error);
  }
  if (end.lost) {
    take_outcomes(board, orders.work, end.plan_failures);
    for (size_t table = 0; table < awaited_.size(); ++table)
      if (const std::optional<PullState> before = std::exchange(awaited_[table], std::nullopt))
        view_.pulls[table].state = *before;
  }
  end.failures = board.failures();
  return end;
}

void RunWork::take_outcomes(RunBoard &board, const std::vector<TableWork> &work,
                            std::vector<Failure> &plan_failures) {
  for (const PlanOutcome &outcome : board.take_outcomes()) {
    const size_t table = work[outcome.table].table;
    PullView &pull = view_.pulls[table];
    const PullState before = std::exchange(awaited_[table], std::nullopt).value();
    if (outcome.failure)
      pull.state = before;
    if (outcome.failure && board.is_stopped() && outcome.failure->sqlstate() == "57014")
      continue; // it was not begun
    if (outcome.failure) {
      pull.failure = failure_view(*outcome.failure);
      plan_failures.push_back(*outcome.failure);
      pull.state = pull.pull_id == 0 ? PullState::kFailed : pull.state;
      continue;
    }
    pull.pull_id = outcome.pull_id;
    pull.id = std::to_string(outcome.pull_id);
    pull.failure.reset(); // of an earlier try
    pull.state = PullState::kPlanned;
    if (view_.id.empty())
      view_.id = pull.id;
  }
}

void RunWork::look(const RunWatcher &watcher) {
  view_.elapsed = std::chrono::duration_cast<milliseconds>(Clock::now() - started_at_);
  if (Clock::now() >= looks_again_at_) {
    const Clock::time_point began_at = Clock::now();
    read_or_reconnect([this] { refresh(); }, [this] { mover_.reset(); });
    looked_at_ = view_.elapsed;
    looks_again_at_ = Clock::now() + (Clock::now() - began_at) * kLookShare;
    note_sample();
  }
  watcher.update(view_);
}

// The ledger gets its last word after the sessions got theirs; after an interrupt it is that no
// worker is left.
void RunWork::settle(const RunWatcher &watcher) {
  constexpr milliseconds kPause{20};
  const Clock::time_point gives_up_at = Clock::now() + seconds(3);
  const auto is_settled = [&] {
    return interrupt_.is_raised()
               ? std::ranges::all_of(view_.pulls,
                                     [](const PullView &pull) { return pull.workers == 0; })
               : unended_pulls().empty();
  };
  looks_again_at_ = {};
  look(watcher);
  while (!is_settled() && Clock::now() < gives_up_at) {
    std::this_thread::sleep_for(kPause);
    looks_again_at_ = {};
    look(watcher);
  }
  if (!unended_pulls().empty() || has_failed_table() || interrupt_.is_raised())
    return;
  try {
    read_marks();
  } catch (const Failure &) { // all is done all the same
    mover_.reset();
  }
}

// Whether pulls leave a mark for appends is known once their run has let its snapshot go.
void RunWork::read_marks() {
  constexpr milliseconds kPause{20};
  const Clock::time_point gives_up_at = Clock::now() + seconds(3);
  std::vector<int64_t> ids;
  for (const PullView &pull : view_.pulls)
    if (pull.pull_id != 0)
      ids.push_back(pull.pull_id);
  const auto has_coordinator = [&] {
    const std::vector<PullView> last = mover().read_pulls(std::span(ids).last(1));
    return !last.empty() && last.front().coordinator_pid != 0;
  };
  if (ids.empty())
    return;
  while (has_coordinator() && Clock::now() < gives_up_at)
    std::this_thread::sleep_for(kPause);
  read_anew(ids, [](PullView &pull, PullView &&now) { pull.warning = std::move(now.warning); });
}

void RunWork::refresh() {
  read_anew(unended_pulls(), [this](PullView &pull, PullView &&now) {
    const auto table = static_cast<size_t>(&pull - view_.pulls.data());
    if (awaited_[table] && is_over(now) && now.state != PullState::kDone)
      return; // an earlier end of it: it is about to go on
    bring_up_to_date(pull, std::move(now));
    note_wait(pull);
    note_time(pull);
  });
  rates_.note(view_, view_.elapsed);
}

void RunWork::read_anew(std::span<const int64_t> ids,
                        const std::function<void(PullView &pull, PullView &&now)> &take) {
  if (ids.empty())
    return;
  std::unordered_map<int64_t, PullView *> by_id;
  for (PullView &pull : view_.pulls)
    if (pull.pull_id != 0)
      by_id[pull.pull_id] = &pull;
  for (; !ids.empty(); ids = ids.subspan(std::min(kPullsAtOnce, ids.size())))
    for (PullView &now : mover().read_pulls(ids.first(std::min(kPullsAtOnce, ids.size()))))
      if (const auto found = by_id.find(now.pull_id); found != by_id.end())
        take(*found->second, std::move(now));
}

// By our own clock, as seen: what has begun between two looks may have begun right after the first.
void RunWork::note_time(PullView &pull) const {
  if (!pull.moving_since && waits_for_turn(pull))
    return;
  if (!pull.moving_since)
    pull.moving_since = looked_at_;
  pull.moved_for = view_.elapsed - *pull.moving_since;
}

// A run of many tables that wait again and again does not fill the memory with it.
void RunWork::note_wait(const PullView &pull) {
  constexpr size_t kMostWaits = 1000;
  const auto open = waits_.find(pull.pull_id);
  if (open != waits_.end() && view_.waits[open->second].reason == pull.waiting_for) {
    WaitView &wait = view_.waits[open->second];
    wait.lasted = view_.elapsed - wait.since;
    return;
  }
  if (open != waits_.end())
    waits_.erase(open);
  if (pull.waiting_for.empty() || view_.waits.size() >= kMostWaits)
    return;
  waits_[pull.pull_id] = view_.waits.size();
  view_.waits.push_back(
      {.table = pull.source_table, .reason = pull.waiting_for, .since = view_.elapsed});
}

void RunWork::read_chunks() {
  for (PullView &pull : view_.pulls)
    if (pull.pull_id != 0)
      pull.chunk_list = mover().read_chunks(pull.pull_id);
}

// A run may take days: the more samples there are, the further they lie apart.
void RunWork::note_sample() {
  constexpr size_t kMostSamples = 2000;
  std::vector<Sample> &samples = view_.samples;
  if (!samples.empty() && view_.elapsed - samples.back().elapsed < between_samples_)
    return;
  const RunTotals totals = totals_of(view_);
  samples.push_back({.elapsed = view_.elapsed, .rows = totals.rows, .bytes = totals.bytes});
  if (samples.size() < kMostSamples)
    return;
  size_t kept = 0;
  for (size_t index = 0; index < samples.size(); index += 2)
    samples[kept++] = samples[index];
  samples.resize(kept);
  between_samples_ *= 2;
}

bool RunWork::has_failed_table() const {
  for (size_t table = 0; table < view_.pulls.size(); ++table) {
    const PullView &pull = view_.pulls[table];
    const bool is_over = has_come_to_an_end(pull) || pull.failure.has_value();
    if (is_over && pull.state != PullState::kDone && !awaited_[table])
      return true;
  }
  return false;
}

std::vector<int64_t> RunWork::unended_pulls() const {
  std::vector<int64_t> ids;
  for (size_t table = 0; table < view_.pulls.size(); ++table) {
    const PullView &pull = view_.pulls[table];
    const bool may_change = !has_come_to_an_end(pull) || awaited_[table];
    if (pull.pull_id != 0 && may_change)
      ids.push_back(pull.pull_id);
  }
  return ids;
}

} // namespace parallel_loader
