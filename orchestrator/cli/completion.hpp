// completion: scripts that complete the program's command line, made from its definition.
#pragma once

#include <string>

namespace parallel_loader {

// Names of tables come from `parallel-loader complete-tables`, which asks the source.

[[nodiscard]] std::string bash_completion();
[[nodiscard]] std::string zsh_completion();
[[nodiscard]] std::string fish_completion();

} // namespace parallel_loader
