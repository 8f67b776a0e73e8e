// run_summary_test: the end of a run of any number of tables, for people.
#include "orchestrator/display/summary.hpp"
#include "tests/cli/golden.hpp"
#include "tests/cli/sample_run.hpp"

namespace parallel_loader {
namespace {

using namespace sample;

std::string end_of(const RunView &run, const MessageStyle &style = {}) {
  return summary_text(run, style) + failures_text(run, style);
}

RunView many_tables() {
  RunView run = empty_run();
  run.elapsed = std::chrono::minutes(20);
  for (int id = 1; id <= 200; ++id)
    run.pulls.push_back(
        loaded(id, "public.part_" + std::to_string(id), 1000 * id, id * kMB, 0, id * 40));
  run.pulls[7].state = PullState::kFailed;
  run.pulls[7].failure = unique_violation("8");
  return run;
}

TEST(RunSummary, of_some_tables) {
  expect_golden("run_summary.txt", end_of(at_the_end()));
}

TEST(RunSummary, of_some_tables_in_full) {
  RunView run = at_the_end();
  run.pulls[1].verify = VerifyView{.mode = Verification::kChecksum, .matches = true};
  run.pulls[2].verify = VerifyView{.mode = Verification::kChecksum, .matches = false};
  run.pulls[3].warning = "was not durable: nothing can be appended";
  expect_golden("run_summary_verbose.txt", end_of(run, {.verbosity = Verbosity::kVerbose}));
}

TEST(RunSummary, of_many_tables_names_the_slowest_and_the_failed) {
  expect_golden("run_summary_many.txt", end_of(many_tables()));
}

TEST(RunSummary, of_many_tables_in_full) {
  const std::string text = end_of(many_tables(), {.verbosity = Verbosity::kVerbose});
  EXPECT_NE(text.find("part_1 "), std::string::npos);
  EXPECT_NE(text.find("part_200 "), std::string::npos);
}

TEST(RunSummary, of_one_table_is_its_line) {
  RunView run = at_the_end();
  run.pulls.resize(1);
  expect_golden("run_summary_one.txt", end_of(run));
}

TEST(RunSummary, of_a_run_that_was_interrupted) {
  RunView run = half_way();
  run.failure = FailureView{.sqlstate = "57014",
                            .message = "interrupted by a signal",
                            .hint = "To give it up: parallel-loader cancel 12",
                            .command = "parallel-loader resume 12"};
  run.pulls[1].is_known = false;
  expect_golden("run_summary_interrupted.txt", end_of(run));
}

TEST(RunSummary, of_a_thousand_failures_is_short) {
  RunView run = empty_run();
  for (int id = 1; id <= 1000; ++id) {
    run.pulls.push_back(table(id, "public.part_" + std::to_string(id), PullState::kFailed, kMB));
    run.pulls.back().failure = unique_violation(std::to_string(id));
  }
  const std::string text = failures_text(run, {});
  EXPECT_EQ(text.find("part_51\""), std::string::npos);
  EXPECT_NE(text.find("950 more failed; -v shows each"), std::string::npos);
}

TEST(RunSummary, is_silent_when_it_is_asked_to_be) {
  EXPECT_EQ(summary_text(at_the_end(), {.verbosity = Verbosity::kQuiet}), "");
  EXPECT_NE(failures_text(at_the_end(), {.verbosity = Verbosity::kQuiet}), "");
}

TEST(RunSummary, ends_with_the_command_tag) {
  EXPECT_EQ(command_tag(at_the_end()), "COPY 799100344");
}

} // namespace
} // namespace parallel_loader
