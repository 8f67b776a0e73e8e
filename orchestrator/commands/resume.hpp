// resume: goes on with a run, or one pull of it, whatever has ended it.
#pragma once

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/run/interrupt.hpp"

namespace parallel_loader {

/// What goes wrong is told on standard error and in the documents.
[[nodiscard]] ExitStatus resume_run(const Options &options, const Terminal &terminal,
                                    const Interrupt &interrupt);

} // namespace parallel_loader
