// interrupt: SIGINT, SIGTERM and SIGHUP, the first as an event, the second as the end.
#pragma once

#include "core/connection/poll_waiter.hpp"
#include "core/connection/waiter.hpp"
#include "orchestrator/base/failure.hpp"
#include "orchestrator/run/wakeup.hpp"

namespace parallel_loader {

/// While one lives, the first SIGINT, SIGTERM or SIGHUP raises it and the second ends the process
/// with status 130 a second later: time for the word that cancels the pull to leave, since a pull
/// whose sessions just vanish waits for others to join it.  There is one at a time: handlers are
/// the process's.
class Interrupt {
public:
  Interrupt();
  Interrupt(const Interrupt &) = delete;
  Interrupt &operator=(const Interrupt &) = delete;
  ~Interrupt();

  [[nodiscard]] bool is_raised() const noexcept { return wakeup_.is_raised(); }
  [[nodiscard]] int fd() const noexcept { return wakeup_.fd(); }

private:
  Wakeup wakeup_;
};

/// What a command that a signal ended has come to.
[[nodiscard]] inline Failure interrupted_failure() {
  return {ExitStatus::kInterrupted, Error("57014", "interrupted by a signal")};
}

/// Gives waits up when interrupted, but only until hold_on(): a session that plans the work is
/// dropped by an interrupt, and the same session then lives on to cancel it.
class InterruptibleWaiter final : public Waiter {
public:
  explicit InterruptibleWaiter(const Interrupt &interrupt) : prompt_(interrupt.fd()) {}

  void hold_on() noexcept { is_holding_on_ = true; }

  Woke wait(int fd, Want want, std::chrono::milliseconds timeout) override {
    return is_holding_on_ ? patient_.wait(fd, want, timeout) : prompt_.wait(fd, want, timeout);
  }

  void nap(std::chrono::microseconds time) override {
    is_holding_on_ ? patient_.nap(time) : prompt_.nap(time);
  }

private:
  PollWaiter prompt_;
  PollWaiter patient_;
  bool is_holding_on_ = false;
};

} // namespace parallel_loader
