// run_inbox: what the coordinator of a run is told about single pulls of it.  Anybody with the
// right posts, it alone takes.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// Sets what the message says of the error, as much of it as there is room for.
void run_message_set_error(RunMessage *message, const ErrorReport *error) noexcept;
/// Posts the message and wakes the coordinator; waits while there is no room.  False when the run
/// has ended before there was.
bool run_inbox_post(SharedPull *run, const RunMessage *message);
/// For the coordinator: the oldest message; false when there is none.
bool run_inbox_take(SharedPull *run, RunMessage *message) noexcept;
/// True if the coordinator has mail to take.
bool run_inbox_has_mail(SharedPull *run) noexcept;

/// Says that a chunk of the pull was committed, or failed: the pull may be done, or has begun to
/// run.
void run_inbox_touch(SharedPull *run, int64 pull_id) noexcept;
/// The same of all pulls of the run.
void run_inbox_touch_all(SharedPull *run) noexcept;
/// For the coordinator: moves the pulls that were touched into `pulls`, of kMostTouched, and
/// returns how many; -1 when all of the run are to be looked at.
int run_inbox_take_touched(SharedPull *run, int64 *pulls) noexcept;

} // namespace parallel_loader
