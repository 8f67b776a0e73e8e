#include "orchestrator/run/run_threads.hpp"

#include "core/connection/poll_waiter.hpp"
#include "orchestrator/run/signals_blocked.hpp"

namespace parallel_loader {

namespace {

/// Whatever `body` throws, as a Failure.
template <class Body> std::optional<Failure> failure_of(Body &&body) noexcept {
  try {
    body();
    return std::nullopt;
  } catch (const Failure &failure) {
    return failure;
  } catch (const Error &error) {
    return Failure(ExitStatus::kFailed, error);
  } catch (const std::exception &error) {
    return Failure(ExitStatus::kFailed, Error(sqlstate::kInternalError, error.what()));
  }
}

/// Of a server, so that no other table has better luck.
bool is_for_all(const Failure &failure) noexcept {
  return failure.status() == ExitStatus::kSourceUnreachable ||
         failure.status() == ExitStatus::kDestinationUnreachable;
}

} // namespace

RunThreads::RunThreads(RunBoard &board, OpenMover open, std::vector<PlanStep> steps,
                       int session_count)
    : board_(board), open_(std::move(open)), session_count_(session_count),
      running_count_(session_count + 1) {
  const SignalsBlocked blocked;
  try {
    start([this, steps = std::move(steps)] { plan(steps); });
    for (int session = 0; session < session_count; ++session)
      start([this, session] {
        if (const auto failure = failure_of([&] { move(session); }))
          board_.add_failure(*failure);
      });
  } catch (...) {
    board_.stop(); // the destructor of what is not yet whole does not run
    throw;
  }
}

RunThreads::~RunThreads() {
  board_.stop();
}

void RunThreads::start(std::function<void()> body) {
  threads_.emplace_back([this, body = std::move(body)] {
    body();
    if (--running_count_ == 0)
      finished_.raise();
  });
}

void RunThreads::plan(const std::vector<PlanStep> &steps) {
  size_t done = 0;
  const std::optional<Failure> failure = failure_of([&] { plan_steps(steps, done); });
  if (failure)
    for (; done < steps.size(); ++done)
      board_.add_plan_failure(done, *failure);
  board_.end_planning();
}

// A step that fails by itself leaves the others alone.
void RunThreads::plan_steps(const std::vector<PlanStep> &steps, size_t &done) {
  if (steps.empty())
    return;
  PollWaiter waiter(board_.stopped_fd());
  const std::unique_ptr<Mover> mover = open_(waiter);
  const auto take = [this](std::string_view message, std::string_view hint) {
    board_.add_notice(message, hint);
  };
  for (; done < steps.size(); ++done) {
    const std::optional<Failure> failure = failure_of([&] {
      const int64_t pull_id = steps[done](*mover, take);
      if (pull_id != 0)
        board_.add_pull(done, pull_id, count_chunks(*mover, pull_id));
    });
    if (failure && (is_for_all(*failure) || board_.is_stopped()))
      throw Failure(*failure);
    if (failure)
      board_.add_plan_failure(done, *failure);
  }
}

// Once all sessions have work, how much more there is makes no difference.
int RunThreads::count_chunks(Mover &mover, int64_t pull_id) {
  const int count = chunk_count_ < session_count_ ? mover.chunk_count(pull_id) : 1;
  chunk_count_ += count;
  return count;
}

void RunThreads::move(int session) {
  PollWaiter waiter(board_.stopped_fd());
  std::unique_ptr<Mover> mover;
  uint64_t seen = 0;
  while (const std::optional<int64_t> pull_id = board_.await_work(session, seen)) {
    if (!mover)
      mover = open_(waiter);
    mover->work(*pull_id, [this](std::string_view message, std::string_view hint) {
      board_.add_notice(message, hint);
    });
  }
}

} // namespace parallel_loader
