// chart_scale: axes with round numbers.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace parallel_loader {

/// Of the drawing; it is stretched to the page.
inline constexpr double kChartWidth = 1000;

struct Tick {
  double share = 0; // of the axis, from 0 to 1
  std::string label;
};

/// A time axis from 0 to `length`, with at most `most` ticks behind 0: at 1, 2 or 5 units, quarters
/// of a minute and so on.
[[nodiscard]] std::vector<Tick> time_ticks(std::chrono::milliseconds length, int most);

struct RateScale {
  double top = 1;   // bytes a second at the end of the axis
  std::string unit; // `MB/s`
  std::vector<Tick> ticks;
};

/// An axis from 0 to a round number of one unit that is not below `highest`.
[[nodiscard]] RateScale rate_scale(double highest);

} // namespace parallel_loader
