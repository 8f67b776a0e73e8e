// html_test: the page of a report; tests/cli/check-report looks at it in a browser.
#include "orchestrator/base/version.hpp"
#include "orchestrator/report/chart_scale.hpp"
#include "orchestrator/report/html_report.hpp"
#include "orchestrator/report/html_text.hpp"
#include "tests/cli/golden.hpp"
#include "tests/cli/sample_report.hpp"

#include <fmt/format.h>

namespace parallel_loader {
namespace {

using namespace sample;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// Without the version, which is another one tomorrow.
std::string page(const RunView &run) {
  std::string text = html_report(run);
  for (const std::string_view before :
       {"<dt>parallel-loader</dt><dd>", "Written by parallel-loader "}) {
    const size_t at = text.find(before);
    EXPECT_NE(at, std::string::npos);
    text.replace(at + before.size(), program_version().size(), "VERSION");
  }
  return text;
}

TEST(Html, report) {
  expect_golden("report.html", page(reported()));
}

TEST(Html, report_of_one_table_without_anything_else) {
  RunView run = empty_run();
  run.pulls.push_back(loaded(12, "sales.orders", 1000, 5 * kMB, 1000, 3000));
  expect_golden("report_small.html", page(run));
}

TEST(Html, report_of_a_run_that_never_began) {
  RunView run;
  run.command = "copy";
  run.failure = FailureView{.message = "no source is given"};
  EXPECT_NE(html_report(run).find("<h1 class=\"bad\">Nothing was loaded</h1>"), std::string::npos);
}

TEST(Html, names_cannot_leave_their_place) {
  EXPECT_EQ(html_text("<b>\"'&\n\t\xFF"), "&lt;b&gt;&quot;&#39;&amp;\n??");
  EXPECT_EQ(html_name("a\n\u202E<"), "<bdi>a??&lt;</bdi>");
  EXPECT_EQ(html_report(reported()).find("<script"), std::string::npos);
}

TEST(Html, ten_thousand_tables_and_a_hundred_thousand_chunks_are_a_page_of_some_megabytes) {
  RunView run = empty_run();
  run.elapsed = minutes(30);
  for (int id = 1; id <= 10'000; ++id) {
    const int64_t from = id * 170;
    run.pulls.push_back(loaded(id, fmt::format("public.\"part & <{}>\"", id), 1000, id * 1000, from,
                               from + 1000 + id % 70));
    cut(run.pulls.back(), 10, 2, id % 31);
    if (id % 3 == 0) {
      run.pulls.back().state = PullState::kFailed;
      run.pulls.back().failure = unique_violation(std::to_string(id));
    }
  }
  for (int second = 0; second < 1800; ++second)
    run.samples.push_back({.elapsed = seconds(second), .bytes = second * kMB});
  const std::string text = html_report(run);
  EXPECT_LT(text.size(), 2'000'000U);
  EXPECT_NE(text.find("smaller tables"), std::string::npos);
}

std::string labels(const std::vector<Tick> &ticks) {
  std::string text;
  for (const Tick &tick : ticks)
    text += tick.label + " ";
  return text;
}

TEST(ChartScale, has_round_times) {
  EXPECT_EQ(labels(time_ticks(milliseconds(7), 8)), "0 1ms 2ms 3ms 4ms 5ms 6ms 7ms ");
  EXPECT_EQ(labels(time_ticks(milliseconds(1400), 8)), "0 200ms 400ms 600ms 800ms 1s 1.2s 1.4s ");
  EXPECT_EQ(labels(time_ticks(seconds(64), 8)), "0 10s 20s 30s 40s 50s 1m ");
  EXPECT_EQ(labels(time_ticks(seconds(100), 8)), "0 15s 30s 45s 1m 1m15s 1m30s ");
  EXPECT_EQ(labels(time_ticks(minutes(302), 8)), "0 1h 2h 3h 4h 5h ");
  EXPECT_EQ(labels(time_ticks(std::chrono::hours(60), 8)), "0 12h 1d 1d12h 2d 2d12h ");
  EXPECT_EQ(labels(time_ticks(milliseconds(0), 8)), "0 ");
}

TEST(ChartScale, has_round_rates) {
  EXPECT_EQ(labels(rate_scale(412.0 * kMB).ticks), "0 200 400 600 ");
  EXPECT_EQ(rate_scale(412.0 * kMB).unit, "MB/s");
  EXPECT_EQ(labels(rate_scale(0.9 * kMB).ticks), "0 500 1000 ");
  EXPECT_EQ(labels(rate_scale(1.1 * kGB).ticks), "0 0.5 1 1.5 ");
  EXPECT_GE(rate_scale(0).top, 0);
}

} // namespace
} // namespace parallel_loader
