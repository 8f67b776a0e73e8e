// sequences: sets sequences to the values that they have on the source.
#pragma once

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/run/interrupt.hpp"

namespace parallel_loader {

[[nodiscard]] ExitStatus set_sequences(const Options &options, const Terminal &terminal,
                                       const Interrupt &interrupt);

} // namespace parallel_loader
