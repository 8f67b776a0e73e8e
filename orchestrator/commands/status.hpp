// status: shows runs, the state of each, and the command that is next.
#pragma once

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/run/interrupt.hpp"

namespace parallel_loader {

[[nodiscard]] ExitStatus show_status(const Options &options, const Terminal &terminal,
                                     const Interrupt &interrupt);

} // namespace parallel_loader
