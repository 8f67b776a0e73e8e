// options: what the user asked for on the command line and in the environment.
#pragma once

#include "orchestrator/base/message.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/tables/table_argument.hpp"

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace parallel_loader {

enum class Output { kPlain, kJson };

struct CopyOptions {
  TableArgument table;
  std::string source; // conninfo or URI; with its password, so never for people
  std::string destination;
  std::optional<std::string> source_on_destination; // conninfo, URI or the name of a foreign server

  std::optional<std::string> key;
  std::optional<std::string> start;
  std::optional<std::string> end;
  std::optional<std::string> where;
  std::optional<std::vector<std::string>> columns;

  int jobs = 4;
  std::optional<std::string> chunk_size; // as the extension reads it, for example 128MB
  std::string format = "auto";

  Output output = Output::kPlain;
  When progress = When::kAuto;
  When color = When::kAuto;
  Verbosity verbosity = Verbosity::kNormal;
  std::chrono::seconds report_every{30};
};

enum class Action { kCopy, kHelp, kCopyHelp, kHelpMarkdown, kVersion };

struct Invocation {
  Action action = Action::kCopy;
  CopyOptions copy; // read only where the action is kCopy
};

/// Reads the arguments after the program's name.  Throws Failure kUsage, whose message says what is
/// wrong and whose hint says what to do.
[[nodiscard]] Invocation parse_invocation(std::span<const std::string> arguments,
                                          const Environment &environment);

} // namespace parallel_loader
