// summary: what a run has come to, as text; pure, so that its screens can be tested.
#pragma once

#include "orchestrator/base/message.hpp"
#include "orchestrator/run/run_view.hpp"

#include <string>

namespace parallel_loader {

/// A table of the tables, the slowest first: rows, size, time, rate and state, and their total.  Of
/// more than twenty, the ten slowest and those that are not loaded; all with kVerbose.  Empty with
/// kQuiet, and of a run without tables.
[[nodiscard]] std::string summary_text(const RunView &run, const MessageStyle &style);

/// Each failure as a message: its table, reason, detail, hint, and the command that goes on with
/// just that; then what has ended the run itself.  Also what a table that is done warns of.  Of
/// more than fifty failures the first ones; all with kVerbose.  The command only if `has_commands`.
[[nodiscard]] std::string failures_text(const RunView &run, const MessageStyle &style,
                                        bool has_commands = true);

/// The command tag, as psql shows it, of all tables: `COPY 1234567`.
[[nodiscard]] std::string command_tag(const RunView &run);

} // namespace parallel_loader
