// progress_test: the screens of a run under way.
#include "orchestrator/base/text.hpp"
#include "orchestrator/display/progress.hpp"
#include "orchestrator/display/rate_window.hpp"
#include "tests/cli/golden.hpp"

namespace parallel_loader {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Run half_way() {
  return {.table = "sales.orders",
          .destination = "sales.orders",
          .pull_id = 7,
          .state = RunState::kRunning,
          .row_count = 264'000'000,
          .byte_count = 71LL << 30,
          .chunk_count = 888,
          .chunk_done_count = 564,
          .session_count = 8,
          .estimated_bytes = 111LL << 30,
          .rate_bytes_per_s = 412.0 * 1024 * 1024,
          .elapsed = seconds(180)};
}

Run at_the_start() {
  auto run = half_way();
  run.state = RunState::kPlanned;
  run.row_count = run.byte_count = run.chunk_done_count = 0;
  run.rate_bytes_per_s = 0;
  run.elapsed = milliseconds(120);
  return run;
}

Run at_the_end() {
  auto run = half_way();
  run.state = RunState::kDone;
  run.byte_count = 109LL << 30;
  run.chunk_done_count = run.chunk_count;
  return run;
}

std::string screen(const Run &run, const ProgressStyle &style) {
  return progress_header(run, style) + "\n" + progress_line(run, style) + "\n";
}

std::string strip_color(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size(); ++at)
    if (text[at] == '\033')
      at = text.find('m', at);
    else
      result += text[at];
  return result;
}

TEST(Progress, screen_at_the_start) {
  expect_golden("progress_start.txt", screen(at_the_start(), {}));
}
TEST(Progress, screen_half_way) {
  expect_golden("progress_half_way.txt", screen(half_way(), {}));
}
TEST(Progress, screen_at_the_end) {
  expect_golden("progress_end.txt", screen(at_the_end(), {}));
}

TEST(Progress, screen_in_ascii) {
  expect_golden("progress_ascii.txt", screen(half_way(), {.glyphs = Glyphs::kAscii}));
}

TEST(Progress, screen_on_a_wide_terminal) {
  expect_golden("progress_wide.txt", screen(half_way(), {.width = 132}));
}

TEST(Progress, screen_on_a_narrow_terminal) {
  expect_golden("progress_narrow.txt", screen(half_way(), {.width = 40}));
}

TEST(Progress, screen_with_a_long_name_and_a_single_job) {
  auto run = half_way();
  run.table = "a_schema_with_a_long_name.\"a table\nwith a newline and 63 letters\"";
  run.destination = "public.t";
  run.session_count = 1;
  expect_golden("progress_long_name.txt", screen(run, {}));
}

TEST(Progress, screen_without_an_estimate) {
  auto run = half_way();
  run.estimated_bytes = 0;
  expect_golden("progress_no_estimate.txt", screen(run, {}));
}

TEST(Progress, lines_on_a_pipe) {
  const std::string now = "2026-01-31 12:00:00 UTC";
  expect_golden("progress_log.txt", progress_log_line(at_the_start(), now) + "\n" +
                                        progress_log_line(half_way(), now) + "\n" +
                                        progress_log_line(at_the_end(), now) + "\n");
}

TEST(Progress, line_of_a_cancelled_run_tells_no_time_left) {
  auto run = half_way();
  run.state = RunState::kCancelled;
  expect_golden("progress_cancelled.txt", screen(run, {}));
}

TEST(Progress, color_changes_nothing_but_color) {
  const std::string colored = progress_line(half_way(), {.color = Color::kOn});
  EXPECT_NE(colored, progress_line(half_way(), {}));
  EXPECT_EQ(strip_color(colored), progress_line(half_way(), {}));
}

TEST(Progress, every_line_is_narrower_than_the_terminal) {
  for (size_t width = 1; width < 200; ++width)
    for (const auto &run : {at_the_start(), half_way(), at_the_end()}) {
      EXPECT_LE(text_width(progress_line(run, {.width = width})), std::max<size_t>(width - 1, 1));
      EXPECT_LE(text_width(progress_header(run, {.width = width})), std::max<size_t>(width - 1, 1));
    }
}

TEST(Progress, is_whole_only_when_done) {
  auto run = half_way();
  run.chunk_done_count = run.chunk_count;
  run.byte_count = run.estimated_bytes;
  EXPECT_LT(progress_fraction(run), 1);
  run.state = RunState::kDone;
  EXPECT_EQ(progress_fraction(run), 1);
}

TEST(Progress, more_bytes_than_estimated_do_not_pass_the_chunks_in_flight) {
  auto run = half_way();
  run.chunk_count = 4;
  run.chunk_done_count = 1;
  run.session_count = 2;
  run.byte_count = run.estimated_bytes * 3;
  EXPECT_DOUBLE_EQ(progress_fraction(run), 0.75);
}

TEST(Progress, fewer_bytes_than_estimated_do_not_hide_chunks_that_are_done) {
  auto run = half_way();
  run.chunk_count = 4;
  run.chunk_done_count = 3;
  run.byte_count = 10;
  EXPECT_DOUBLE_EQ(progress_fraction(run), 0.75);
}

TEST(Progress, has_no_fraction_without_chunks) {
  auto run = half_way();
  run.chunk_count = 0;
  EXPECT_EQ(progress_fraction(run), 0);
}

TEST(Progress, tells_no_time_left_in_the_first_seconds) {
  auto run = half_way();
  run.elapsed = milliseconds(2999);
  EXPECT_EQ(progress_log_line(run, "").find("ETA"), std::string::npos);
  run.elapsed = seconds(3);
  EXPECT_NE(progress_log_line(run, "").find("ETA"), std::string::npos);
}

TEST(RateWindow, has_no_rate_from_one_sample) {
  RateWindow window;
  EXPECT_EQ(window.add(seconds(1), 1000), 0);
  EXPECT_EQ(window.add(seconds(1), 2000), 0);
}

TEST(RateWindow, forgets_what_is_older_than_ten_seconds) {
  RateWindow window;
  for (int second = 0; second <= 10; ++second)
    window.add(seconds(second), 0);
  double rate = 0;
  for (int second = 11; second <= 30; ++second)
    rate = window.add(seconds(second), (second - 10) * 100);
  EXPECT_DOUBLE_EQ(rate, 100);
}

TEST(RateWindow, is_never_negative) {
  RateWindow window;
  window.add(seconds(0), 1000);
  EXPECT_EQ(window.add(seconds(1), 500), 0);
}

} // namespace
} // namespace parallel_loader
