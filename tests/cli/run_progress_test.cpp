// run_progress_test: the screens of a run of any number of tables.
#include "orchestrator/base/text.hpp"
#include "orchestrator/display/run_progress.hpp"
#include "orchestrator/report/progress_json.hpp"
#include "orchestrator/run/run_figures.hpp"
#include "tests/cli/golden.hpp"
#include "tests/cli/sample_run.hpp"

#include <nlohmann/json.hpp>

namespace parallel_loader {
namespace {

using namespace sample;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string joined(const std::vector<std::string> &lines) {
  std::string text;
  for (const std::string &line : lines)
    text += line + "\n";
  return text;
}

std::string screen(const RunView &run, const ScreenStyle &style) {
  return run_header(run, style) + "\n" + joined(run_screen(run, style));
}

RunView at_the_start() {
  RunView run = half_way();
  run.elapsed = milliseconds(120);
  run.bytes_per_s = 0;
  for (PullView &pull : run.pulls) {
    pull.state = PullState::kPlanned;
    pull.rows = pull.bytes = 0;
    pull.chunks_done = pull.workers = 0;
    pull.bytes_per_s = 0;
    pull.started = pull.finished = std::nullopt;
  }
  return run;
}

/// What one of them waits for, what the other is held back by, and a third that somebody pauses.
RunView in_trouble() {
  RunView run = half_way();
  run.pulls[0].waiting_for = "worker 24921 waits for Lock: relation, blocked by 24870";
  run.pulls[0].bytes_per_s = 0;
  run.bytes_per_s = 240.0 * kMB;
  run.pulls[1].max_rate_kb = 100 * 1024;
  run.pulls[1].retries = 2;
  run.pulls[10].state = PullState::kPaused;
  run.pulls[10].waiting_for = "paused; continue with parallel_pull_alter(22, workers => n)";
  run.pulls[11].failure = unique_violation("23");
  run.pulls[11].state = PullState::kFailed;
  return run;
}

/// As many tables as a schema has that was made by a program.
RunView many(int count) {
  RunView run = empty_run();
  run.bytes_per_s = 3.0 * kMB * count;
  for (int id = 1; id <= count; ++id)
    run.pulls.push_back(moving(id, "public.part_" + std::to_string(id), id * kMB, 40 * kMB,
                               id % 3 == 0 ? 0 : 1, 3.0 * kMB));
  return run;
}

TEST(RunProgress, screen_at_the_start) {
  expect_golden("run_start.txt", screen(at_the_start(), {}));
}
TEST(RunProgress, screen_half_way) {
  expect_golden("run_half_way.txt", screen(half_way(), {}));
}
TEST(RunProgress, screen_at_the_end) {
  expect_golden("run_end.txt", screen(at_the_end(), {}));
}
TEST(RunProgress, screen_in_ascii) {
  expect_golden("run_ascii.txt", screen(half_way(), {.width = 120, .glyphs = Glyphs::kAscii}));
}
TEST(RunProgress, screen_on_a_wide_terminal) {
  expect_golden("run_wide.txt", screen(half_way(), {.width = 132}));
}
TEST(RunProgress, screen_on_a_narrow_terminal) {
  expect_golden("run_narrow.txt", screen(half_way(), {.width = 50}));
}
TEST(RunProgress, screen_of_waits_limits_and_retries) {
  expect_golden("run_trouble.txt", screen(in_trouble(), {}));
}
TEST(RunProgress, screen_on_a_low_terminal) {
  expect_golden("run_low.txt", screen(many(40), {.height = 8}));
}

TEST(RunProgress, screen_of_one_table_has_no_total) {
  expect_golden("run_one.txt", screen(one_table(), {}));
}

TEST(RunProgress, screen_with_names_of_all_kinds) {
  RunView run = half_way();
  run.pulls[0].source_table = run.pulls[0].table = "売上.注文明細二〇二六年";
  run.pulls[1].table = "archive.\"a table\nwith a newline\u202E and 63 letters\"";
  run.pulls[2] = moving(14, "cafe\u0301.re\u0301sume\u0301s", 1 * kGB, 3 * kGB, 1, 9.0 * kMB);
  run.bytes_per_s = 661.0 * kMB;
  expect_golden("run_names.txt", screen(run, {}));
}

TEST(RunProgress, lines_on_a_pipe) {
  const std::string now = "2026-01-31 12:00:00 UTC";
  RunView end = at_the_end();
  expect_golden(
      "run_log.txt",
      joined(run_log_lines(at_the_start(), now)) + joined(run_log_lines(in_trouble(), now)) +
          joined(run_log_lines(one_table(), now)) + table_log_line(end.pulls[0], end, now) + "\n" +
          table_log_line(end.pulls[10], end, now) + "\n" + joined(run_log_lines(end, now)));
}

TEST(RunProgress, lines_on_a_pipe_are_few) {
  EXPECT_EQ(run_log_lines(many(40), "").size(), 11U);
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

TEST(RunProgress, color_changes_nothing_but_color) {
  const std::string colored = screen(in_trouble(), {.color = Color::kOn});
  EXPECT_NE(colored, screen(in_trouble(), {}));
  EXPECT_EQ(strip_color(colored), screen(in_trouble(), {}));
}

TEST(RunProgress, every_screen_fits_the_terminal) {
  RunView names = half_way();
  names.pulls[0].table = "売上.注文明細二〇二六年";
  for (const RunView &run :
       {at_the_start(), half_way(), at_the_end(), in_trouble(), one_table(), many(40), names})
    for (const size_t width : {1, 2, 7, 20, 38, 50, 61, 79, 80, 100, 101, 200})
      for (size_t height = 1; height < 50; height += 3) {
        const ScreenStyle style{.width = width, .height = height};
        const std::vector<std::string> lines = run_screen(run, style);
        EXPECT_LE(lines.size(), std::max<size_t>(height - 1, 1));
        for (const std::string &line : lines)
          EXPECT_LE(text_width(line), std::max<size_t>(width - 1, 1)) << line;
        EXPECT_LE(text_width(run_header(run, style)), std::max<size_t>(width - 1, 1));
      }
}

TEST(RunProgress, those_with_workers_are_shown_first) {
  RunView run = many(40);
  const std::string text = joined(run_screen(run, {.height = 12}));
  EXPECT_EQ(text.find("part_3 "), std::string::npos); // it has none
  EXPECT_NE(text.find("part_13"), std::string::npos);
}

TEST(RunProgress, json_line) {
  expect_golden("progress.json", progress_document(in_trouble(), at(180'000)) + "\n");
}

TEST(RunFigures, a_run_is_whole_only_when_all_tables_are_done) {
  RunView run = half_way();
  EXPECT_LT(fraction_of(run), 1);
  for (PullView &pull : run.pulls)
    pull.state = PullState::kDone;
  EXPECT_EQ(fraction_of(run), 1);
  EXPECT_EQ(state_of(run), PullState::kDone);
  run.pulls[3].state = PullState::kFailed;
  EXPECT_LT(fraction_of(run), 1);
  EXPECT_EQ(state_of(run), PullState::kFailed);
}

TEST(RunFigures, a_table_takes_the_time_in_which_it_moves) {
  RunView run = at_the_end();
  PullView &pull = run.pulls[0];
  EXPECT_EQ(duration_of(pull, run), seconds(271)); // since it was planned
  pull.moving_since = seconds(40);
  pull.moved_for = seconds(230);
  EXPECT_EQ(duration_of(pull, run), seconds(230)); // as it was seen
  pull.chunk_list = {{.started = at(43'000), .finished = at(50'000)},
                     {.started = at(42'000), .finished = at(49'000)}};
  EXPECT_EQ(duration_of(pull, run), seconds(8)); // by its chunks
}

TEST(RunFigures, without_estimates_chunks_count) {
  RunView run = many(4);
  for (PullView &pull : run.pulls) {
    pull.bytes = pull.estimated_bytes = 0;
    pull.chunks = 4;
    pull.chunks_done = 1;
  }
  EXPECT_DOUBLE_EQ(fraction_of(run), 0.25);
}

TEST(RunFigures, with_a_filter_the_plan_weighs_and_what_is_left_follows_from_what_has_come) {
  RunView run = many(3);
  run.elapsed = seconds(60);
  for (PullView &pull : run.pulls) {
    pull.is_partial = true;
    pull.estimated_bytes = 100 * kMB;
    pull.chunks = 4;
    pull.chunks_done = pull.workers = 0;
    pull.bytes = 0;
    pull.bytes_per_s = 0;
  }
  EXPECT_EQ(fraction_of(run), 0);
  EXPECT_EQ(total_bytes_of(run), 0);
  PullView &first = run.pulls[0];
  first.state = PullState::kRunning;
  first.chunks_done = 2;
  first.bytes = 10 * kMB;
  first.bytes_per_s = kMB;
  EXPECT_NEAR(fraction_of(run), 1.0 / 6, 1e-9);
  run.bytes_per_s = kMB;
  first.workers = 2; // each half way through one of its four chunks
  EXPECT_EQ(time_left(first, run), seconds(3));
  EXPECT_EQ(time_left(run), seconds(30)); // of the others as much travels for each byte of theirs
  first.chunks_done = 0;
  EXPECT_FALSE(time_left(run));
}

TEST(RunFigures, tell_no_time_left_in_the_first_seconds_and_of_what_is_over) {
  RunView run = half_way();
  run.elapsed = milliseconds(2999);
  EXPECT_FALSE(time_left(run));
  run.elapsed = seconds(3);
  EXPECT_TRUE(time_left(run));
  EXPECT_TRUE(time_left(run.pulls[0], run));
  EXPECT_FALSE(time_left(run.pulls[2], run));
}

TEST(RunFigures, nobody_knows_when_what_is_paused_will_end) {
  RunView run = half_way();
  for (PullView &pull : run.pulls)
    if (pull.state == PullState::kRunning)
      pull.state = PullState::kPaused;
  EXPECT_FALSE(time_left(run));
  EXPECT_FALSE(time_left(run.pulls[0], run));
}

} // namespace
} // namespace parallel_loader
