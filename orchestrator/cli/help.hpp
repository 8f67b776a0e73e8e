// help: the help screens, made from the definition of the command line.
#pragma once

#include "orchestrator/cli/options.hpp"

#include <string>

namespace parallel_loader {

// Each within 80 columns.

/// `parallel-loader --help`.
[[nodiscard]] std::string main_help();
/// `parallel-loader COMMAND --help`: an example, the options by group, the environment, the exit
/// status.
[[nodiscard]] std::string command_help(Command command);

// By `-?`: what fits a look.
[[nodiscard]] std::string main_usage();
[[nodiscard]] std::string command_usage(Command command);

} // namespace parallel_loader
