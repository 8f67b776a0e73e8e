// socket_wait: see socket_wait.hpp.
#include "extension/server/socket_wait.hpp"

#include "extension/server/compat.hpp"

namespace parallel_loader {

static void prepare(SocketWait *wait, int fd, uint32 wanted) {
  // A change of direction makes a new set: the number may be that of another socket by now, which
  // the set does not know.
  if (wait->events != nullptr && wait->fd == fd && wait->wanted == wanted)
    return;
  socket_wait_free(wait);
  WaitEventSet *events = compat_create_wait_event_set(3);
  AddWaitEventToSet(events, wanted, fd, nullptr, nullptr);
  AddWaitEventToSet(events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
  AddWaitEventToSet(events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
  *wait = {events, fd, wanted};
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

void socket_wait_free(SocketWait *wait) {
  if (wait->events != nullptr) {
    FreeWaitEventSet(wait->events);
    wait->events = nullptr;
  }
}

void latch_sleep(long timeout_ms) {
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms,
            PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

} // namespace parallel_loader
