// reconnection: goes on after the session with the destination was lost.
#pragma once

#include <functional>

namespace parallel_loader {

/// Calls `read`, and as long as a server takes that restarts after a crash, `drop` and `read` again
/// after a Failure.  Then throws the first one, with ExitStatus::kFailed: what was read before has
/// shown that the server could be reached.  Passes on what else `read` throws.
void read_or_reconnect(const std::function<void()> &read, const std::function<void()> &drop);

} // namespace parallel_loader
