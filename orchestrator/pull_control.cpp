// pull_control: see pull_control.hpp.
#include "orchestrator/pull_control.hpp"

#include "orchestrator/failure.hpp"

namespace parallel_loader {

PullControl::PullControl(const ConnInfo &target, const Interrupt &interrupt)
    : interrupt_(interrupt), target_(target), waiter_(interrupt),
      destination_(Destination::open(target, waiter_)) {}

TargetTable PullControl::find_table(const QualifiedName &name) {
  return destination_->find_table(name);
}

void PullControl::create(const PullCall &call) {
  try {
    pull_id_ = destination_->create_pull(call);
  } catch (const Error &error) {
    if (interrupt_.is_raised())
      throw;
    throw Failure(destination_->status_of(error), error);
  }
  waiter_.hold_on();
}

PullStatus PullControl::read() {
  try {
    return destination_->read_pull(pull_id_);
  } catch (const Error &) {
    if (destination_->is_alive())
      throw;
  }
  try {
    destination_.emplace(Destination::open(target_, waiter_));
  } catch (const Failure &failure) {
    throw Failure(ExitStatus::kFailed, failure); // the work had begun
  }
  return destination_->read_pull(pull_id_);
}

void PullControl::cancel() noexcept {
  try {
    destination_->cancel_pull(pull_id_);
  } catch (const std::exception &) {
    // What became of the pull is read afterwards, whatever the answer was.
  }
}

} // namespace parallel_loader
