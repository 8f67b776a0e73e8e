// waiter: how core/ waits for a socket without knowing which event loop it runs in.
#pragma once

#include "core/base/pure.hpp"

#include <chrono>

namespace parallel_loader {

enum class Want { kRead, kWrite };
enum class Woke { kReady, kTimeout };

/// Waits until a socket is ready.  Inside the server it also serves interrupts; in the binary and
/// in unit tests it is poll(2).  An interrupt leaves its calls as an exception.
class Waiter {
public:
  Waiter() = default;
  Waiter(const Waiter &) = delete;
  Waiter &operator=(const Waiter &) = delete;
  virtual ~Waiter() = default;

  /// Returns kReady when `fd` can be read from or written to (or has failed), kTimeout when
  /// `timeout` has passed first.  A negative timeout waits without limit.  May wake early as
  /// kReady.
  virtual Woke wait(int fd, Want want, std::chrono::milliseconds timeout) = 0;

  /// Sleeps for `time`, a millisecond at most, whatever comes in, and serves interrupts after it.
  virtual void nap(std::chrono::microseconds time) = 0;

  static constexpr std::chrono::milliseconds kNoTimeout{-1};
};

} // namespace parallel_loader
