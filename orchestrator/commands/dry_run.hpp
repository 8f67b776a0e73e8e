// dry_run: what copy would do.
#pragma once

#include "orchestrator/commands/run_session.hpp"

#include <span>
#include <vector>

namespace parallel_loader {

/// Plans each table, by as many sessions as it would have, and writes what comes of it to standard
/// output: sizes, chunks, keys, routes.  `places`: which table of the view each job is for.
/// A table that cannot be planned has its failure in the view.
void show_dry_run(RunSession &session, std::span<const TableJob> jobs,
                  std::span<const size_t> places);

} // namespace parallel_loader
