// config_file: the file of --config: named connections, and values of options.
#pragma once

#include <map>
#include <string>

namespace CLI {
class App;
} // namespace CLI

namespace parallel_loader {

/// Conninfo strings and URIs by the names that --source and --target may give.
using NamedConnections = std::map<std::string, std::string, std::less<>>;

/// Adds --config to the commands of `app`.  The file is TOML, read by CLI11: settings named as the
/// options, of all commands or, in a section with the name of a command, of that one; [connections]
/// fills `connections`.  What the command line has wins over the file, and the file over the
/// environment.  `selects` becomes true where the file names tables for some command, or has them
/// emptied.  Parsing throws Failure kUsage for settings that no command has, and for a file
/// with a password that others than its owner may read.
void add_config_file(CLI::App &app, NamedConnections &connections, bool &selects);

} // namespace parallel_loader
