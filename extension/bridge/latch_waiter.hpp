// latch_waiter: a Waiter inside a server process: serves interrupts and heeds a stop flag.
#pragma once

#include "core/connection/waiter.hpp"

#include <utility>

#include "extension/bridge/boundary.hpp"
#include "extension/server/base/socket_wait.hpp"

extern "C" {
#include "port/atomics.h"
}

namespace parallel_loader {

/// The pull ends early by somebody's wish: unwinds a worker, which then leaves without an error.
class Stopped final : public std::exception {
public:
  [[nodiscard]] const char *what() const noexcept override { return "the pull is being stopped"; }
};

class LatchWaiter : public Waiter {
public:
  /// `stop` becomes non-zero when the process is to give up; it outlives the waiter.
  explicit LatchWaiter(pg_atomic_uint32 *stop) : stop_(stop) {}
  LatchWaiter(const LatchWaiter &) = delete;
  LatchWaiter &operator=(const LatchWaiter &) = delete;
  /// Heeds another flag from now on.
  void heed(pg_atomic_uint32 *stop) noexcept { stop_ = stop; }
  ~LatchWaiter() override;

  /// Both throw Stopped, or PgError for a cancel.
  Woke wait(int fd, Want want, std::chrono::milliseconds timeout) override;
  void nap(std::chrono::microseconds time) override;

  /// True if there was a wait since this was asked last.  It may have taken wake-ups that were
  /// meant for whoever sleeps on the latch next: what they tell of has to be looked at before.
  [[nodiscard]] bool take_waited() noexcept { return std::exchange(has_waited_, false); }

protected:
  /// Called whenever the latch was set, and at least twice a second.
  virtual void look_up() {}

private:
  void heed_stop();

  pg_atomic_uint32 *stop_;
  SocketWait socket_wait_ = {};
  bool has_waited_ = false;
};

} // namespace parallel_loader
