// help: the help screens and docs/cli.md, made from the option table.
#pragma once

#include <string>

namespace parallel_loader {

/// `parallel-loader --help`.
[[nodiscard]] std::string main_help();
/// `parallel-loader copy --help`: an example, the options by group, the environment, the exit
/// status; within 80 columns.
[[nodiscard]] std::string copy_help();
/// docs/cli.md.
[[nodiscard]] std::string help_markdown();

} // namespace parallel_loader
