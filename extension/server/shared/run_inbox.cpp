#include "extension/server/shared/run_inbox.hpp"

#include "extension/server/base/socket_wait.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace parallel_loader {

static bool try_post(SharedPull *run, const RunMessage *message) noexcept {
  RunInbox *inbox = &run->inbox;
  SpinLockAcquire(&run->mutex);
  const bool has_room = inbox->count < kMostMessages;
  if (has_room)
    inbox->messages[(inbox->first + inbox->count++) % kMostMessages] = *message;
  SpinLockRelease(&run->mutex);
  return has_room;
}

static void copy_text(char *to, const char *from, size_t room) noexcept {
  const int size = pg_mbcliplen(from, static_cast<int>(strlen(from)), static_cast<int>(room) - 1);
  memcpy(to, from, static_cast<size_t>(size));
  to[size] = '\0';
}

void run_message_set_error(RunMessage *message, const ErrorReport *error) noexcept {
  strlcpy(message->sqlstate, error_report_sqlstate(error), sizeof(message->sqlstate));
  copy_text(message->message, error->message, sizeof(message->message));
  copy_text(message->detail, error->detail, sizeof(message->detail));
  copy_text(message->hint, error->hint, sizeof(message->hint));
}

bool run_inbox_post(SharedPull *run, const RunMessage *message) {
  constexpr long kStepMs = 5;
  while (shared_pull_phase(run) != kPhaseEnded || pg_atomic_read_u32(&run->holds_snapshot) != 0) {
    if (run->coordinator_pid == 0)
      return false;
    if (try_post(run, message)) {
      shared_pull_wake(run->coordinator_pid);
      return true;
    }
    latch_sleep(kStepMs);
  }
  return false;
}

bool run_inbox_take(SharedPull *run, RunMessage *message) noexcept {
  RunInbox *inbox = &run->inbox;
  SpinLockAcquire(&run->mutex);
  const bool has_one = inbox->count > 0;
  if (has_one) {
    *message = inbox->messages[inbox->first];
    inbox->first = (inbox->first + 1) % kMostMessages;
    inbox->count--;
  }
  SpinLockRelease(&run->mutex);
  return has_one;
}

bool run_inbox_has_mail(SharedPull *run) noexcept {
  SpinLockAcquire(&run->mutex);
  const bool has_mail =
      run->inbox.count > 0 || run->inbox.touched_count > 0 || run->inbox.has_overflown;
  SpinLockRelease(&run->mutex);
  return has_mail;
}

void run_inbox_touch(SharedPull *run, int64 pull_id) noexcept {
  RunInbox *inbox = &run->inbox;
  SpinLockAcquire(&run->mutex);
  const bool is_last_again =
      inbox->touched_count > 0 && inbox->touched[inbox->touched_count - 1] == pull_id;
  if (inbox->touched_count == kMostTouched)
    inbox->has_overflown = true;
  else if (!is_last_again)
    inbox->touched[inbox->touched_count++] = pull_id;
  SpinLockRelease(&run->mutex);
  shared_pull_wake(run->coordinator_pid);
}

void run_inbox_touch_all(SharedPull *run) noexcept {
  SpinLockAcquire(&run->mutex);
  run->inbox.has_overflown = true;
  SpinLockRelease(&run->mutex);
}

int run_inbox_take_touched(SharedPull *run, int64 *pulls) noexcept {
  RunInbox *inbox = &run->inbox;
  SpinLockAcquire(&run->mutex);
  int count = inbox->touched_count;
  memcpy(pulls, inbox->touched, sizeof(int64) * static_cast<size_t>(count));
  if (inbox->has_overflown)
    count = -1;
  inbox->touched_count = 0;
  inbox->has_overflown = false;
  SpinLockRelease(&run->mutex);
  return count;
}

} // namespace parallel_loader
