#include "orchestrator/run/session_pool.hpp"

#include "core/connection/poll_waiter.hpp"
#include "orchestrator/run/destination.hpp"

#include <csignal>

#include <algorithm>

namespace parallel_loader {

namespace {

/// Blocks signals for threads started meanwhile: the main thread takes them.
class SignalsBlocked {
public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked &) = delete;
  SignalsBlocked &operator=(const SignalsBlocked &) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
  sigset_t before_{};
};

} // namespace

SessionPool::SessionPool(const ConnInfo &destination, int64_t pull_id, int session_count)
    : working_count_(session_count) {
  const SignalsBlocked blocked;
  try {
    for (int session = 0; session < session_count; ++session)
      threads_.emplace_back([this, destination, pull_id] { run_session(destination, pull_id); });
  } catch (...) {
    abandon(); // the destructor of what is not yet whole does not run
    throw;
  }
}

SessionPool::~SessionPool() {
  abandon();
}

void SessionPool::run_session(const ConnInfo &destination, int64_t pull_id) noexcept {
  try {
    PollWaiter waiter(abandoned_.fd());
    work(destination, pull_id, waiter);
  } catch (const Failure &failure) {
    add_failure(failure);
  } catch (const Error &error) {
    add_failure(Failure(ExitStatus::kFailed, error));
  } catch (const std::exception &error) {
    add_failure(Failure(ExitStatus::kFailed, Error(sqlstate::kInternalError, error.what())));
  }
  if (--working_count_ == 0)
    finished_.raise();
}

void SessionPool::work(const ConnInfo &conninfo, int64_t pull_id, Waiter &waiter) {
  Destination destination = Destination::open(conninfo, waiter);
  try {
    destination.work(
        pull_id,
        [this](std::string_view message, std::string_view hint) { add_notice(message, hint); });
  } catch (const Error &error) {
    throw Failure(destination.status_of(error), error);
  }
}

void SessionPool::add_notice(std::string_view message, std::string_view hint) {
  std::string text(message);
  if (!hint.empty())
    text.append(" (hint: ").append(hint).append(")");
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(notices_, text) == notices_.end())
    notices_.push_back(std::move(text));
}

std::vector<std::string> SessionPool::take_notices() {
  const std::lock_guard lock(mutex_);
  const auto first = notices_.begin() + static_cast<ptrdiff_t>(notices_taken_);
  notices_taken_ = notices_.size();
  return {first, notices_.end()};
}

void SessionPool::add_failure(const Failure &failure) {
  const std::lock_guard lock(mutex_);
  const auto is_same = [&failure](const Error &other) {
    return other.sqlstate() == failure.sqlstate() && other.message() == failure.message();
  };
  if (std::ranges::none_of(failures_, is_same))
    failures_.push_back(failure);
}

std::vector<Failure> SessionPool::failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

} // namespace parallel_loader
