#include "orchestrator/run/pull_control.hpp"

#include "orchestrator/base/failure.hpp"

namespace parallel_loader {

PullControl::PullControl(const ConnInfo &destination, const Interrupt &interrupt)
    : interrupt_(interrupt), conninfo_(destination), waiter_(interrupt),
      destination_(Destination::open(destination, waiter_)) {}

PullControl::~PullControl() {
  if (pull_id_ != 0 && !has_pull_ended_ && !refusal_)
    cancel();
}

TableInfo PullControl::find_table(const QualifiedName &name) {
  return destination_->find_table(name);
}

void PullControl::create(const CopyRequest &request, NoticeHandler on_notice) {
  try {
    pull_id_ = destination_->create_pull(request, std::move(on_notice));
  } catch (const Error &error) {
    if (interrupt_.is_raised())
      throw;
    throw Failure(destination_->status_of(error), error);
  }
  waiter_.hold_on();
}

PullStatus PullControl::read() {
  PullStatus pull = read_again_if_lost();
  has_pull_ended_ = has_ended(pull.state);
  return pull;
}

PullStatus PullControl::read_again_if_lost() {
  try {
    return destination_->read_pull(pull_id_);
  } catch (const Error &error) {
    if (destination_->is_alive())
      throw;
    reopen(error);
  }
  return destination_->read_pull(pull_id_);
}

void PullControl::reopen(const Error &lost) {
  try {
    destination_.emplace(Destination::open(conninfo_, waiter_));
  } catch (const Error &) {
    // The work had begun, so it is no longer an unreachable server; why the session was lost says
    // more than why there is no other.
    throw Failure(ExitStatus::kFailed, lost);
  }
}

bool PullControl::cancel() noexcept {
  try {
    refusal_.reset();
    destination_->cancel_pull(pull_id_);
  } catch (const Error &error) {
    if (destination_->is_alive())
      refusal_ = error;
  } catch (const std::exception &) {
    // What became of the pull is read afterwards, whatever the answer was.
  }
  return !refusal_;
}

} // namespace parallel_loader
