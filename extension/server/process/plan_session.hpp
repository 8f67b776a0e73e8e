// plan_session: the session that has the coordinator of a run plan one more pull.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// Hands the request over, waits, and returns the new pull's id; 0 when the run has come to its end
/// before.  Raises the error of the plan, after which the run goes on, and 55006 for the lock trap.
int64 plan_session_run(SharedPull *run, const char *request, Size request_size);

} // namespace parallel_loader
