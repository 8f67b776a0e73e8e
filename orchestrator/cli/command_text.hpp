// command_text: what the help and the manual say of each command.
#pragma once

#include "orchestrator/cli/options.hpp"

#include <span>
#include <string_view>

namespace parallel_loader {

struct CommandText {
  Command command;
  std::string_view name;
  std::string_view summary;   // in the list of commands
  std::string_view purpose;   // opens its help
  std::string_view arguments; // in its usage line, behind the options; empty: none
  std::string_view example;   // without the program's name
  std::string_view behavior;  // for the manual: paragraphs, blank lines between them
};

/// In the order of the help.
[[nodiscard]] std::span<const CommandText> command_texts() noexcept;
[[nodiscard]] const CommandText &command_text(Command command) noexcept;

} // namespace parallel_loader
