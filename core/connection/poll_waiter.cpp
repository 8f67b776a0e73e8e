#include "core/connection/poll_waiter.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <thread>

#include <poll.h>

namespace parallel_loader {

Woke PollWaiter::wait(int fd, Want want, std::chrono::milliseconds timeout) {
  const short events = want == Want::kRead ? POLLIN : POLLOUT;
  // poll() skips negative descriptors, so an absent interrupt_fd needs no case of its own.
  std::array<pollfd, 2> fds{pollfd{fd, events, 0}, pollfd{interrupt_fd_, POLLIN, 0}};
  const auto limit = std::clamp<std::chrono::milliseconds::rep>(timeout.count(), -1, INT_MAX);

  const int ready_count = poll(fds.data(), fds.size(), static_cast<int>(limit));
  if (ready_count < 0) {
    if (errno == EINTR)
      return Woke::kReady;
    throw Error(sqlstate::kInternalError,
                std::string("could not wait for a socket: ") + std::strerror(errno));
  }
  if (fds[1].revents != 0)
    throw Error("57014", "canceled by the user");
  return ready_count == 0 ? Woke::kTimeout : Woke::kReady;
}

void PollWaiter::nap(std::chrono::microseconds time) {
  std::this_thread::sleep_for(time);
  if (interrupt_fd_ >= 0)
    wait(-1, Want::kRead, std::chrono::milliseconds::zero()); // for the interrupt alone
}

} // namespace parallel_loader
