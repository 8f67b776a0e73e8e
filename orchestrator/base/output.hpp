// output: standard output and standard error, safe from readers that went away.
#pragma once

#include "orchestrator/base/exit_status.hpp"

#include <string_view>

namespace parallel_loader {

/// Writes results to standard output, at once.  Returns `status`; kFailed, with a message on
/// standard error, when the results could not be written.  A reader that has closed the pipe is no
/// failure: it has what it wanted.
[[nodiscard]] ExitStatus write_result(std::string_view text, ExitStatus status);

/// Writes to standard error, at once.  Nothing can be done when that fails.
void write_message(std::string_view text) noexcept;

/// Makes writes to closed pipes return an error in place of ending the program, and keeps the
/// numbers of standard streams that the caller has closed from the connections, into which results
/// would go.
void prepare_streams() noexcept;

} // namespace parallel_loader
