// own_command: commands of this program that are shown to be run next.
#pragma once

#include "orchestrator/cli/options.hpp"

#include <span>
#include <string>
#include <string_view>

namespace parallel_loader {

/// A command for a shell that does `words` with these servers: named as they were given, without
/// passwords, and left out where the environment has them.  Without the file of --config where that
/// would add to the tables that the words name, or empty them.
[[nodiscard]] std::string own_command(const std::string &words, const Connections &connections);

/// ` --jobs 8 --verify count`: what the user has said of all tables, for a command that goes on
/// with some: `words`, a copy, an append or a resume.  Empty for other commands.
[[nodiscard]] std::string kept_options(std::string_view words,
                                       std::span<const GivenArgument> given);

/// This command, for what it has not loaded.  Tables that were emptied are not to be emptied again,
/// and the snapshot that was given may be gone.  `run_id` is empty where no run was begun.
[[nodiscard]] std::string whole_command(const Options &options, const std::string &run_id);

/// A copy of a table that was not there, as this command was to copy it; empty with --snapshot,
/// which may be gone by then.
[[nodiscard]] std::string copy_of_missing(const Options &options, const std::string &name);

/// True if such a command lacks a password that was given.
[[nodiscard]] bool leaves_password_out(const Connections &connections);

} // namespace parallel_loader
