// definition: every command and every option, once: for the parser, the help, the manual and the
// completions.
#pragma once

#include "orchestrator/cli/config_file.hpp"
#include "orchestrator/cli/options.hpp"

#include <memory>

namespace CLI {
class App;
} // namespace CLI

namespace parallel_loader {

/// Commands as subcommands, in the order of the help; what the user gives is stored in `options`,
/// and what --config names in `connections`; both must live as long.  Each option has its group,
/// the kind of its value, its words, what holds without it as its default string, and the variable
/// that is read without it.
[[nodiscard]] std::unique_ptr<CLI::App> define_command_line(Options &options,
                                                            NamedConnections &connections);

} // namespace parallel_loader
