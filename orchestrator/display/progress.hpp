// progress: a run under way as text; pure, so that its screens can be tested.
#pragma once

#include "orchestrator/base/paint.hpp"
#include "orchestrator/display/screen_style.hpp"
#include "orchestrator/run/run.hpp"

#include <string>
#include <string_view>

namespace parallel_loader {

struct ProgressStyle {
  size_t width = 80; // columns of the terminal
  Glyphs glyphs = Glyphs::kUnicode;
  Color color = Color::kOff;
};

/// How much of the run is done, from 0 to 1, and 1 only when it is done.
///
/// The chunks that are done and those in flight bound it on either side; between the two the bytes
/// decide where their total is known.
[[nodiscard]] double progress_fraction(const Run &run) noexcept;

/// The line that opens a run: `Loading 1 table, 751.2 MB, 4 jobs`, and the pull's id on the right.
[[nodiscard]] std::string progress_header(const Run &run, const ProgressStyle &style);

/// One line for a terminal, without its end, narrower than `style.width`: name, bar, percent,
/// bytes, rate of the last seconds, time left.  No time left in the first three seconds and without
/// an estimate of the bytes.  When the run has ended: its rate, and the time it took.
[[nodiscard]] std::string progress_line(const Run &run, const ProgressStyle &style);

/// The same facts and the chunks for a log; `now` begins the line.
[[nodiscard]] std::string progress_log_line(const Run &run, std::string_view now);

} // namespace parallel_loader
