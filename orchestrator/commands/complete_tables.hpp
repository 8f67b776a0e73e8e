// complete_tables: `parallel-loader complete-tables`, which completions of shells call.
#pragma once

#include "orchestrator/base/exit_status.hpp"

#include <span>
#include <string>

namespace parallel_loader {

/// Prints the tables of the source whose names begin with `arguments[0]`, one a line; the rest is
/// the command line as far as it is typed.  Where the source does not answer within a second, or
/// at all, prints nothing.
[[nodiscard]] ExitStatus complete_tables(std::span<const std::string> arguments);

} // namespace parallel_loader
