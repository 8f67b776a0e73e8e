// html_report: a run as a page for people: one file, which needs nothing else and runs no script.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <string>

namespace parallel_loader {

/// Of thousands of tables and chunks, the tables beyond the biggest thousand and the failures
/// beyond the first two hundred are summed up, and chunks that are too short to be seen are drawn
/// as one, so that the page stays below a few MB.
[[nodiscard]] std::string html_report(const RunView &run);

} // namespace parallel_loader
