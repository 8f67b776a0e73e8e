// wakeup: a file descriptor that becomes readable once and stays so.
#pragma once

#include <chrono>
#include <initializer_list>

namespace parallel_loader {

/// A pipe that is never emptied.  raise() may be called from any thread and from a signal handler.
class Wakeup {
public:
  /// Throws Error 53000 when no file descriptors are left.
  Wakeup();
  Wakeup(const Wakeup &) = delete;
  Wakeup &operator=(const Wakeup &) = delete;
  ~Wakeup();

  void raise() noexcept;
  [[nodiscard]] bool is_raised() const noexcept;
  [[nodiscard]] int fd() const noexcept { return read_fd_; }

private:
  int read_fd_ = -1;
  int write_fd_ = -1;
};

/// Waits until one of `fds` is readable or `timeout` has passed; negative ones are left out.
void wait_for_any(std::initializer_list<int> fds, std::chrono::milliseconds timeout) noexcept;

} // namespace parallel_loader
