// verify: compares tables on both servers, range by range.
#pragma once

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/run/interrupt.hpp"

namespace parallel_loader {

[[nodiscard]] ExitStatus verify_tables(const Options &options, const Terminal &terminal,
                                       const Interrupt &interrupt);

} // namespace parallel_loader
