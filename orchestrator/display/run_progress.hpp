// run_progress: a run of any number of tables under way, as text; pure, so that its screens can be
// tested.
#pragma once

#include "orchestrator/display/screen_style.hpp"
#include "orchestrator/run/run_view.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// The line that opens a run: `Loading 12 tables, 184.2 GB, 8 jobs`, and the run's id on the right.
[[nodiscard]] std::string run_header(const RunView &run, const ScreenStyle &style);

/// The lines of a live screen, without their ends, each narrower than `style.width` and fewer than
/// `style.height`: one for each table that moves (and one for what it waits for, its limit and its
/// retries, if there are any), `and N more` for those that there is no room for, and the total.
///
/// Of a run of one table: its line alone.
[[nodiscard]] std::vector<std::string> run_screen(const RunView &run, const ScreenStyle &style);

/// For a log: a line for each table that moves, up to ten, and the total; `now` begins each.
[[nodiscard]] std::vector<std::string> run_log_lines(const RunView &run, std::string_view now);

/// For a log, when a table is over: what has come of it.
[[nodiscard]] std::string table_log_line(const PullView &pull, const RunView &run,
                                         std::string_view now);

} // namespace parallel_loader
