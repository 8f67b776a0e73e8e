// own_command: commands of this program that are shown to be run next.
#pragma once

#include "orchestrator/cli/options.hpp"

#include <string>

namespace parallel_loader {

/// A command for a shell that does `words` with these servers: named as they were given, without
/// passwords, and left out where the environment has them.
[[nodiscard]] std::string own_command(const std::string &words, const Connections &connections);

/// True if such a command lacks a password that was given.
[[nodiscard]] bool leaves_password_out(const Connections &connections);

} // namespace parallel_loader
