// socket_wait: waits for one socket and the process latch at once, serving interrupts.
#pragma once

#include "extension/server/base/postgres.hpp"

#include <sys/types.h>

struct WaitEventSet;

namespace parallel_loader {

/// Kept from wait to wait, since building an event set costs several system calls.
struct SocketWait {
  WaitEventSet *events;
  int fd;
  ino_t identity; // of the socket behind fd
  uint32 wanted;
};

/// Returns true when the socket is ready, false after `timeout_ms` (-1: no limit) or when the latch
/// was set.  Interrupts are served: cancel and terminate leave as errors; postmaster death exits.
bool socket_wait(SocketWait *wait, int fd, bool for_write, long timeout_ms);

void socket_wait_free(SocketWait *wait) noexcept;

/// Sleeps for `time_us` and leaves the latch as it is.  Interrupts are served after it; postmaster
/// death exits.
void socket_nap(long time_us);

/// Sleeps until the latch is set or `timeout_ms` has passed, serving interrupts.
void latch_sleep(long timeout_ms);

} // namespace parallel_loader
