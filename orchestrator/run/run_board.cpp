#include "orchestrator/run/run_board.hpp"

#include <algorithm>

namespace parallel_loader {

void RunBoard::add_pull(size_t table, int64_t pull_id, int chunk_count) {
  const std::lock_guard lock(mutex_);
  outcomes_.push_back({.table = table, .pull_id = pull_id});
  last_pull_id_ = pull_id;
  chunk_count_ += chunk_count;
  ++version_;
  changed_.notify_all();
}

void RunBoard::add_plan_failure(size_t table, const Failure &failure) {
  const std::lock_guard lock(mutex_);
  outcomes_.push_back({.table = table, .failure = failure});
}

void RunBoard::end_planning() {
  const std::lock_guard lock(mutex_);
  is_planning_ = false;
  changed_.notify_all();
}

std::optional<int64_t> RunBoard::await_work(int session, uint64_t &seen) {
  std::unique_lock lock(mutex_);
  const auto has_work = [&] { return version_ > seen && chunk_count_ > session; };
  changed_.wait(lock, [&] { return is_stopped() || has_work() || !is_planning_; });
  if (is_stopped() || !has_work())
    return std::nullopt;
  seen = version_;
  return last_pull_id_;
}

void RunBoard::add_failure(const Failure &failure) {
  const std::lock_guard lock(mutex_);
  const auto is_same = [&failure](const Error &other) {
    return other.sqlstate() == failure.sqlstate() && other.message() == failure.message();
  };
  if (std::ranges::none_of(failures_, is_same))
    failures_.push_back(failure);
}

void RunBoard::add_notice(std::string_view message, std::string_view hint) {
  std::string text(message);
  if (!hint.empty())
    text.append(" (hint: ").append(hint).append(")");
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(notices_, text) == notices_.end())
    notices_.push_back(std::move(text));
}

std::vector<PlanOutcome> RunBoard::take_outcomes() {
  const std::lock_guard lock(mutex_);
  return std::exchange(outcomes_, {});
}

std::vector<std::string> RunBoard::take_notices() {
  const std::lock_guard lock(mutex_);
  const auto first = notices_.begin() + static_cast<ptrdiff_t>(notices_taken_);
  notices_taken_ = notices_.size();
  return {first, notices_.end()};
}

std::vector<Failure> RunBoard::failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

void RunBoard::stop() noexcept {
  stopped_.raise();
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

} // namespace parallel_loader
