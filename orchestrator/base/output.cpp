#include "orchestrator/base/output.hpp"

#include "core/base/error.hpp"
#include "orchestrator/base/message.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

namespace parallel_loader {

namespace {

/// In a stream that whoever shares it has made non-blocking.
void wait_for_room(int fd) noexcept {
  pollfd stream{.fd = fd, .events = POLLOUT, .revents = 0};
  (void)poll(&stream, 1, -1);
}

/// Returns 0 or the errno of the write that failed.
int write_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written > 0)
      text.remove_prefix(static_cast<size_t>(written));
    else if (errno == EAGAIN)
      wait_for_room(fd);
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

} // namespace

ExitStatus write_result(std::string_view text, ExitStatus status) {
  const int failed_with = write_all(STDOUT_FILENO, text);
  if (failed_with == 0 || failed_with == EPIPE)
    return status;
  write_message(error_text(Error("58030", std::string("could not write to standard output: ") +
                                              std::strerror(failed_with)),
                           {}));
  return status == ExitStatus::kDone ? ExitStatus::kFailed : status;
}

void write_message(std::string_view text) noexcept {
  (void)write_all(STDERR_FILENO, text);
}

void prepare_streams() noexcept {
  std::signal(SIGPIPE, SIG_IGN);
  // The lowest free number is what open() returns. Each is opened the wrong way round, so that its
  // use fails as on a closed one.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) == -1 && errno == EBADF)
      (void)open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

} // namespace parallel_loader
