#include "orchestrator/report/chart_scale.hpp"

#include "core/base/size_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace parallel_loader {

namespace {

using std::chrono::milliseconds;

/// `500ms`, `15s`, `1m30s`, `2h`, `1d12h`: no more than it takes.
std::string tick_text(milliseconds time) {
  const int64_t ms = time.count();
  if (ms == 0)
    return "0";
  if (ms % 1000 != 0)
    return ms < 1000 ? fmt::format("{}ms", ms)
                     : fmt::format("{:.1f}s", static_cast<double>(ms) / 1000);
  struct Unit {
    int64_t seconds;
    std::string_view name;
  };
  constexpr std::array<Unit, 4> kUnits{{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}};
  std::string text;
  int64_t left = ms / 1000;
  for (const Unit &unit : kUnits) {
    if (left >= unit.seconds)
      text += fmt::format("{}{}", left / unit.seconds, unit.name);
    left %= unit.seconds;
  }
  return text;
}

milliseconds time_step(milliseconds length, int most) {
  constexpr int64_t kSecond = 1000;
  constexpr int64_t kMinute = 60 * kSecond;
  constexpr int64_t kHour = 60 * kMinute;
  constexpr int64_t kDay = 24 * kHour;
  constexpr std::array<int64_t, 32> kSteps{1,
                                           2,
                                           5,
                                           10,
                                           20,
                                           50,
                                           100,
                                           200,
                                           500,
                                           kSecond,
                                           2 * kSecond,
                                           5 * kSecond,
                                           10 * kSecond,
                                           15 * kSecond,
                                           30 * kSecond,
                                           kMinute,
                                           2 * kMinute,
                                           5 * kMinute,
                                           10 * kMinute,
                                           15 * kMinute,
                                           30 * kMinute,
                                           kHour,
                                           2 * kHour,
                                           3 * kHour,
                                           6 * kHour,
                                           12 * kHour,
                                           kDay,
                                           2 * kDay,
                                           7 * kDay,
                                           14 * kDay,
                                           28 * kDay,
                                           91 * kDay};
  for (const int64_t step : kSteps)
    if (length.count() / step <= most)
      return milliseconds(step);
  return milliseconds(std::max<int64_t>(1, length.count()));
}

/// 1, 2 or 5, times a power of 10.
double round_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= least * (1 - 1e-9))
      return factor * power;
  return 10 * power;
}

} // namespace

std::vector<Tick> time_ticks(milliseconds length, int most) {
  std::vector<Tick> ticks;
  const milliseconds step = time_step(length, std::max(1, most));
  for (milliseconds at{0}; at <= length; at += step)
    ticks.push_back({.share = length.count() == 0 ? 0.0
                                                  : static_cast<double>(at.count()) /
                                                        static_cast<double>(length.count()),
                     .label = tick_text(at)});
  return ticks;
}

RateScale rate_scale(double highest) {
  constexpr int kTicks = 4;
  const SizeUnit unit = size_unit(highest, 999.95);
  const double value = std::max(highest / unit.bytes, 1e-3);
  const double step = round_step(value / kTicks);
  const int count = std::max(1, static_cast<int>(std::ceil(value / step - 1e-9)));
  RateScale scale{
      .top = count * step * unit.bytes, .unit = std::string(unit.name) + "/s", .ticks = {}};
  for (int index = 0; index <= count; ++index)
    scale.ticks.push_back(
        {.share = static_cast<double>(index) / count, .label = fmt::format("{:g}", index * step)});
  return scale;
}

} // namespace parallel_loader
