// poll_waiter: a Waiter over poll(2), for the binary and the unit tests.
#pragma once

#include "core/connection/waiter.hpp"

namespace parallel_loader {

class PollWaiter final : public Waiter {
public:
  PollWaiter() = default;

  /// `interrupt_fd` becomes readable when the wait is to be given up: `wait` and `nap` then throw
  /// Error 57014.
  explicit PollWaiter(int interrupt_fd) : interrupt_fd_(interrupt_fd) {}

  Woke wait(int fd, Want want, std::chrono::milliseconds timeout) override;
  void nap(std::chrono::microseconds time) override;

private:
  int interrupt_fd_ = -1;
};

} // namespace parallel_loader
