// follow_up: what copy and resume do once the rows are there: sequences, and the comparison.
#pragma once

#include "orchestrator/commands/run_session.hpp"

#include <optional>
#include <vector>

namespace parallel_loader {

/// As the options want it: sets the sequences of whole tables that are done, and compares tables
/// that are done with those of the source.  The n-th task is for the n-th table of the view; those
/// without one are left out.
void follow_up(RunSession &session, const std::vector<std::optional<TableTask>> &tasks);

} // namespace parallel_loader
