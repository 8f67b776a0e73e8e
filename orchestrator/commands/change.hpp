// change: cancel and alter: a run, or one pull of it, is ended or changed while it moves.
#pragma once

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/run/interrupt.hpp"

namespace parallel_loader {

[[nodiscard]] ExitStatus cancel_run(const Options &options, const Terminal &terminal,
                                    const Interrupt &interrupt);
[[nodiscard]] ExitStatus alter_run(const Options &options, const Terminal &terminal,
                                   const Interrupt &interrupt);

} // namespace parallel_loader
