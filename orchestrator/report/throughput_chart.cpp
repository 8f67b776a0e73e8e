#include "orchestrator/report/throughput_chart.hpp"

#include "orchestrator/base/text.hpp"
#include "orchestrator/report/chart_scale.hpp"
#include "orchestrator/report/html_text.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace parallel_loader {

namespace {

using std::chrono::milliseconds;

constexpr double kHeight = 200;

/// A stretch of time in which bytes came at one rate.
struct Stretch {
  milliseconds from{0};
  milliseconds to{0};
  double rate = 0;
};

/// As many as there is room for: of a long run each is the mean of many samples.
std::vector<Stretch> stretches_of(const RunView &run) {
  constexpr int64_t kMost = 160;
  const std::vector<Sample> &samples = run.samples;
  const milliseconds length = samples.back().elapsed - samples.front().elapsed;
  std::vector<Stretch> result;
  const Sample *from = &samples.front();
  for (const Sample &sample : samples) {
    const milliseconds lasted = sample.elapsed - from->elapsed;
    if (lasted.count() <= 0 || (lasted * kMost < length && &sample != &samples.back()))
      continue;
    result.push_back({.from = from->elapsed,
                      .to = sample.elapsed,
                      .rate = std::max(0.0, per_second(sample.bytes - from->bytes, lasted))});
    from = &sample;
  }
  return result;
}

std::string curve(const std::vector<Stretch> &stretches, milliseconds length, double top) {
  const auto x = [length](milliseconds at) {
    return kChartWidth * static_cast<double>(at.count()) / static_cast<double>(length.count());
  };
  const auto y = [top](double rate) { return kHeight * (1 - rate / top); };
  std::string line;
  for (const Stretch &stretch : stretches)
    line += fmt::format("{}{:.1f},{:.1f}H{:.1f}", line.empty() ? "M" : "L", x(stretch.from),
                        y(stretch.rate), x(stretch.to));
  return fmt::format("<path class=\"area\" d=\"{}V{}H{:.1f}Z\"/><path class=\"line\" d=\"{}\"/>",
                     line, kHeight, x(stretches.front().from), line);
}

std::string waits(const RunView &run, milliseconds length) {
  std::string text;
  for (const WaitView &wait : run.waits)
    text +=
        fmt::format("<rect class=\"wait\" x=\"{:.1f}\" width=\"{:.1f}\" height=\"{}\"><title>{}: "
                    "{}</title></rect>",
                    kChartWidth * per_second(wait.since.count(), length) / 1000,
                    std::max(1.0, kChartWidth * per_second(wait.lasted.count(), length) / 1000),
                    kHeight, html_text(printable(wait.table)), html_text(wait_words(wait.reason)));
  return text;
}

std::string grid(const RateScale &scale) {
  std::string text;
  for (const Tick &tick : scale.ticks)
    text += fmt::format("<path class=\"grid\" d=\"M0,{0:.1f}H{1}\"/>", kHeight * (1 - tick.share),
                        kChartWidth);
  return text;
}

std::string labels(std::string_view axis, std::string_view side, const std::vector<Tick> &ticks) {
  std::string text = fmt::format("<div class=\"{}\" aria-hidden=\"true\">", axis);
  for (const Tick &tick : ticks)
    text += fmt::format("<span style=\"{}:{:.2f}%\">{}</span>", side, tick.share * 100, tick.label);
  return text + "</div>";
}

} // namespace

std::string throughput_chart(const RunView &run) {
  if (run.samples.size() < 3 || run.samples.back().elapsed <= run.samples.front().elapsed)
    return "";
  const std::vector<Stretch> stretches = stretches_of(run);
  const milliseconds length = std::max(run.elapsed, run.samples.back().elapsed);
  const double highest = std::ranges::max(stretches, {}, &Stretch::rate).rate;
  const double mean = per_second(totals_of(run).moved_bytes, run.elapsed);
  const RateScale scale = rate_scale(std::max(highest, mean));
  const double mean_y = kHeight * (1 - mean / scale.top);
  const std::string summary =
      fmt::format("{} on average, {} at most", format_rate(mean), format_rate(highest));
  return fmt::format(
      "<figure><figcaption>{} <span class=\"key mean\">average</span>{}</figcaption>"
      "<div class=\"plot\"><div class=\"unit\">{}</div>{}"
      "<svg class=\"curve\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" role=\"img\" "
      "aria-labelledby=\"throughput-title throughput-desc\">"
      "<title id=\"throughput-title\">Throughput over time</title>"
      "<desc id=\"throughput-desc\">{} over {}</desc>{}{}{}"
      "<path class=\"mean\" d=\"M0,{:.1f}H{}\"/></svg>{}</div></figure>\n",
      summary, run.waits.empty() ? "" : " <span class=\"key wait\">a table waits</span>",
      scale.unit, labels("y", "bottom", scale.ticks), kChartWidth, kHeight, summary,
      format_duration(length), grid(scale), waits(run, length), curve(stretches, length, scale.top),
      mean_y, kChartWidth, labels("x", "left", time_ticks(length, 8)));
}

} // namespace parallel_loader
