#include "orchestrator/run/wakeup.hpp"

#include "core/base/error.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace parallel_loader {

Wakeup::Wakeup() {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0)
    throw Error("53000", std::string("could not create a pipe: ") + std::strerror(errno));
  read_fd_ = ends[0];
  write_fd_ = ends[1];
  for (const int fd : ends) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
  }
}

Wakeup::~Wakeup() {
  close(read_fd_);
  close(write_fd_);
}

void Wakeup::raise() noexcept {
  const int saved_errno = errno; // a signal handler leaves it as it was
  // It fails only when the pipe is full, and then it is raised.
  [[maybe_unused]] const ssize_t written = write(write_fd_, "!", 1);
  errno = saved_errno;
}

bool Wakeup::is_raised() const noexcept {
  pollfd entry{.fd = read_fd_, .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 0) > 0;
}

void wait_for_any(std::initializer_list<int> fds, std::chrono::milliseconds timeout) noexcept {
  // poll(2) skips negative descriptors.
  std::array<pollfd, 4> entries{};
  nfds_t count = 0;
  for (const int fd : fds)
    entries.at(count++) = {.fd = fd, .events = POLLIN, .revents = 0};
  poll(entries.data(), count, static_cast<int>(timeout.count()));
}

} // namespace parallel_loader
