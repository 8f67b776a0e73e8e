#include "extension/server/base/socket_wait.hpp"

#include "extension/server/base/compat.hpp"

#include <sys/stat.h>

extern "C" {
#include "storage/ipc.h"
#include "storage/pmsignal.h"
}

namespace parallel_loader {

// Positions in the event set, by order of adding.
static constexpr int kSocketEvent = 0;

// libpq closes a socket and opens another, perhaps under the same number, when it tries the next
// host; the kernel has then dropped the old one from the event set without a word.
static ino_t socket_identity(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static void prepare(SocketWait *wait, int fd, uint32 wanted) {
  const ino_t identity = socket_identity(fd);
  if (wait->events != nullptr && wait->fd == fd && wait->identity == identity) {
    if (wait->wanted != wanted) {
      ModifyWaitEvent(wait->events, kSocketEvent, wanted, nullptr);
      wait->wanted = wanted;
    }
    return;
  }
  socket_wait_free(wait);
  WaitEventSet *events = compat_create_wait_event_set(3);
  AddWaitEventToSet(events, wanted, fd, nullptr, nullptr);
  AddWaitEventToSet(events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
  AddWaitEventToSet(events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
  *wait = {events, fd, identity, wanted};
}

bool socket_wait(SocketWait *wait, int fd, bool for_write, long timeout_ms) {
  CHECK_FOR_INTERRUPTS();
  prepare(wait, fd, for_write ? WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE);
  WaitEvent happened[3];
  const int count =
      WaitEventSetWait(wait->events, timeout_ms, happened, lengthof(happened), PG_WAIT_EXTENSION);
  bool is_ready = false;
  for (int index = 0; index < count; index++)
    if ((happened[index].events & WL_LATCH_SET) != 0)
      ResetLatch(MyLatch);
    else if ((happened[index].events & (WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE)) != 0)
      is_ready = true;
  CHECK_FOR_INTERRUPTS();
  // libpq closes a socket that was refused and opens one to the next address, which gets the same
  // number: the set would wait for the closed one for ever.
  if (count == 0)
    socket_wait_free(wait);
  return is_ready;
}

void socket_wait_free(SocketWait *wait) noexcept {
  if (wait->events != nullptr) {
    FreeWaitEventSet(wait->events);
    wait->events = nullptr;
  }
}

// Waits for a latch count in milliseconds, and a nap may be shorter.
void socket_nap(long time_us) {
  pgstat_report_wait_start(PG_WAIT_EXTENSION);
  pg_usleep(time_us);
  pgstat_report_wait_end();
  CHECK_FOR_INTERRUPTS();
  if (!PostmasterIsAlive())
    proc_exit(1);
}

void latch_sleep(long timeout_ms) {
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms,
            PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

} // namespace parallel_loader
