#include "extension/server/process/handover.hpp"

#include "extension/server/base/socket_wait.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/mailbox.hpp"

namespace parallel_loader {

static void ask_holder_to_go(dsm_handle handle, int64 pull_id) {
  SharedPull *pull = nullptr;
  bool is_new_mapping;
  dsm_segment *segment = shared_pull_attach(handle, &pull, &is_new_mapping);
  if (segment == nullptr)
    return;
  if (!pull->is_run && pull->pull_id == pull_id && pg_atomic_read_u32(&pull->holds_snapshot) != 0)
    mailbox_post_hold_end(pull, kHoldResumed);
  if (is_new_mapping)
    dsm_detach(segment);
}

TimestampTz handover_snapshot_taken(dsm_handle handle) {
  SharedPull *pull = nullptr;
  bool is_new_mapping;
  dsm_segment *segment = shared_pull_attach(handle, &pull, &is_new_mapping);
  if (segment == nullptr)
    return 0;
  const TimestampTz taken = pull->snapshot_taken;
  if (is_new_mapping)
    dsm_detach(segment);
  return taken;
}

void handover_tell(dsm_handle handle, int64 coordinator) {
  SharedPull *pull = nullptr;
  bool is_new_mapping;
  dsm_segment *segment = shared_pull_attach(handle, &pull, &is_new_mapping);
  if (segment == nullptr)
    return;
  if (pull->is_run && pull->coordinator_id == coordinator)
    shared_pull_wake(pull->coordinator_pid);
  if (is_new_mapping)
    dsm_detach(segment);
}

void handover_receive(dsm_handle segment, int64 pull_id) {
  constexpr long kStepMs = 20;
  constexpr long kPatienceMs = 5000;
  ask_holder_to_go(segment, pull_id);
  for (long waited_ms = 0; !session_try_lock_pull(pull_id); waited_ms += kStepMs) {
    if (waited_ms >= kPatienceMs) {
      ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                      errmsg("pull " INT64_FORMAT " is running already", pull_id)));
    }
    latch_sleep(kStepMs);
  }
}

} // namespace parallel_loader
