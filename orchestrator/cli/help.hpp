// help: the help screens and docs/cli.md, made from the definition of the command line.
#pragma once

#include "orchestrator/cli/options.hpp"

#include <string>

namespace parallel_loader {

/// `parallel-loader --help`.
[[nodiscard]] std::string main_help();
/// `parallel-loader COMMAND --help`: an example, the options by group, the environment, the exit
/// status; within 80 columns.
[[nodiscard]] std::string command_help(Command command);
/// docs/cli.md.
[[nodiscard]] std::string help_markdown();

} // namespace parallel_loader
