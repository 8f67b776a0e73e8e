#include "extension/server/shared/wait_info.hpp"

#include "extension/server/shared/blockers.hpp"

extern "C" {
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/wait_event.h"
}

namespace parallel_loader {

static void add_blocker_list(WaitInfo *info, int pid) {
  ListCell *cell;
  const char *separator = ", blocked by ";
  foreach (cell, add_blockers(NIL, pid)) {
    const size_t used = strlen(info->text);
    snprintf(info->text + used, sizeof(info->text) - used, "%s%d", separator, lfirst_int(cell));
    separator = ", ";
  }
}

WaitInfo wait_info_of(int pid) {
  WaitInfo info = {};
  const PGPROC *proc = BackendPidGetProc(pid);
  const uint32 event = proc != nullptr ? proc->wait_event_info : 0;
  if (event == 0)
    return info;
  // Our waits for the source are those of an extension; so are our rests, which are short.
  info.is_for_socket = event == PG_WAIT_EXTENSION;
  snprintf(info.text, sizeof(info.text), "worker %d waits for %s: %s", pid,
           pgstat_get_wait_event_type(event), pgstat_get_wait_event(event));
  add_blocker_list(&info, pid);
  return info;
}

} // namespace parallel_loader
