// swapped_servers: --source and --target, given the wrong way round.
#pragma once

#include "core/connection/waiter.hpp"
#include "orchestrator/base/failure.hpp"
#include "orchestrator/cli/options.hpp"

namespace parallel_loader {

/// `failure` of opening the destination; where it is that the extension is missing there, and the
/// source has it, with that in its hint.
[[nodiscard]] Failure explain_swapped(const Failure &failure, const Connections &connections,
                                      Waiter &waiter);

} // namespace parallel_loader
