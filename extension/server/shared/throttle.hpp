// throttle: what parallel_pull_alter asks of a running pull: a pause, a rate.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// Waits until `bytes` that have arrived may be counted under the pull's max_rate, and while the
/// pull is paused.  Returns false as soon as the worker in `slot` is told to stop.
bool throttle_pass(SharedPull *pull, const WorkerSlot *slot, int64 bytes);

/// True while the pull's max_rate is what it waits for.
bool throttle_holds_back(SharedPull *pull) noexcept;

/// Stops all workers where they are, or lets them go on.
void throttle_set_paused(SharedPull *pull, bool is_paused) noexcept;

/// Sets the rate in bytes a second, 0 for none, from now on.
void throttle_set_rate(SharedPull *pull, int64 bytes_per_second) noexcept;

} // namespace parallel_loader
