// outcome_test: what a run came to, and where the program may draw and colour.
#include "orchestrator/commands/source.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/run/outcome.hpp"
#include "orchestrator/run/wakeup.hpp"

#include <gtest/gtest.h>

#include <map>

namespace parallel_loader {
namespace {

constexpr int64_t kPull = 7;

Failure failure(ExitStatus status, std::string_view sqlstate) {
  return {status, Error(sqlstate, "message of " + std::string(sqlstate))};
}

PullStatus failed_pull(std::string sqlstate) {
  return {.state = RunState::kFailed,
          .chunk_count = 8,
          .sqlstate = std::move(sqlstate),
          .error = "error of the ledger"};
}

std::optional<Failure> judge(const PullStatus &pull, const std::vector<Failure> &failures,
                             Asked asked = Asked::kNothing) {
  return judge_pull(kPull, pull, failures, asked);
}

TEST(Outcome, is_success_when_the_ledger_says_done_whatever_sessions_met) {
  const PullStatus done{.state = RunState::kDone};
  EXPECT_FALSE(judge(done, {failure(ExitStatus::kDestinationUnreachable, "08006")}));
  EXPECT_FALSE(judge(done, {}, Asked::kToStop));
}

TEST(Outcome, is_interrupted_when_the_user_asked_for_it) {
  const auto reason = judge({.state = RunState::kCancelled},
                            {failure(ExitStatus::kFailed, "57014")}, Asked::kToStop);
  EXPECT_EQ(reason->status(), ExitStatus::kInterrupted);
}

TEST(Outcome, prefers_the_failure_that_the_ledger_names) {
  const auto reason = judge(failed_pull("23505"), {failure(ExitStatus::kFailed, "55000"),
                                                   failure(ExitStatus::kFailed, "23505")});
  EXPECT_EQ(reason->sqlstate(), "23505");
}

TEST(Outcome, takes_the_first_failure_when_the_ledger_names_none) {
  const auto reason =
      judge({.state = RunState::kInterrupted},
            {failure(ExitStatus::kFailed, "53300"), failure(ExitStatus::kFailed, "23505")});
  EXPECT_EQ(reason->sqlstate(), "53300");
}

TEST(Outcome, a_source_lost_before_any_row_is_unreachable) {
  const auto reason =
      judge(failed_pull("08006"), {failure(ExitStatus::kSourceUnreachable, "08006")});
  EXPECT_EQ(reason->status(), ExitStatus::kSourceUnreachable);
}

TEST(Outcome, a_source_lost_after_the_first_chunk_is_a_failed_copy) {
  PullStatus pull = failed_pull("08006");
  pull.chunk_done_count = 1;
  const auto reason = judge(pull, {failure(ExitStatus::kSourceUnreachable, "08006")});
  EXPECT_EQ(reason->status(), ExitStatus::kFailed);
}

TEST(Outcome, falls_back_to_the_error_in_the_ledger) {
  const auto reason = judge(failed_pull("08001"), {});
  EXPECT_EQ(reason->status(), ExitStatus::kSourceUnreachable);
  EXPECT_EQ(reason->message(), "error of the ledger");
}

TEST(Outcome, says_that_the_pull_was_cancelled) {
  const auto reason = judge({.state = RunState::kCancelled}, {});
  EXPECT_EQ(reason->status(), ExitStatus::kFailed);
  EXPECT_EQ(reason->message(), "pull 7 was cancelled");
}

TEST(Outcome, never_takes_a_pull_that_ended_early_for_success) {
  const auto reason = judge({.state = RunState::kInterrupted}, {});
  EXPECT_EQ(reason->message(), "pull 7 ended before all its chunks were done");
}

TEST(Conditions, are_joined_so_that_neither_changes_the_other) {
  EXPECT_EQ(join_conditions(std::nullopt, std::nullopt), std::nullopt);
  EXPECT_EQ(join_conditions("a", std::nullopt), "a");
  EXPECT_EQ(join_conditions(std::nullopt, "b"), "b");
  EXPECT_EQ(join_conditions("a", "b OR c -- note"), "(a) AND (b OR c -- note\n)");
}

Terminal inspect(const std::map<std::string, std::string, std::less<>> &variables) {
  return inspect_terminal(
      -1,
      [&variables](std::string_view name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
      });
}

TEST(TerminalFacts, the_variable_of_higher_rank_decides_the_encoding) {
  EXPECT_TRUE(inspect({{"LANG", "de_DE.UTF-8"}}).has_utf8);
  EXPECT_TRUE(inspect({{"LANG", "C"}, {"LC_CTYPE", "C.utf8"}}).has_utf8);
  EXPECT_FALSE(inspect({{"LANG", "de_DE.UTF-8"}, {"LC_ALL", "C"}}).has_utf8);
  EXPECT_FALSE(inspect({}).has_utf8);
}

TEST(TerminalFacts, an_empty_no_color_refuses_nothing) {
  EXPECT_FALSE(inspect({{"NO_COLOR", ""}}).refuses_color);
  EXPECT_TRUE(inspect({{"NO_COLOR", "1"}}).refuses_color);
}

TEST(TerminalFacts, a_flag_wins_over_everything) {
  const Terminal dumb_pipe{.is_dumb = true, .refuses_color = true};
  EXPECT_EQ(choose_color(When::kAlways, dumb_pipe), Color::kOn);
  EXPECT_EQ(choose_progress(When::kAlways, dumb_pipe), ProgressMode::kBar);
  const Terminal terminal{.is_terminal = true};
  EXPECT_EQ(choose_color(When::kNever, terminal), Color::kOff);
  EXPECT_EQ(choose_progress(When::kNever, terminal), ProgressMode::kOff);
}

TEST(TerminalFacts, auto_draws_on_terminals_that_can) {
  const Terminal terminal{.is_terminal = true};
  EXPECT_EQ(choose_color(When::kAuto, terminal), Color::kOn);
  EXPECT_EQ(choose_progress(When::kAuto, terminal), ProgressMode::kBar);
  const Terminal dumb{.is_terminal = true, .is_dumb = true};
  EXPECT_EQ(choose_color(When::kAuto, dumb), Color::kOff);
  EXPECT_EQ(choose_progress(When::kAuto, dumb), ProgressMode::kLog);
  const Terminal refusing{.is_terminal = true, .refuses_color = true};
  EXPECT_EQ(choose_color(When::kAuto, refusing), Color::kOff);
  EXPECT_EQ(choose_progress(When::kAuto, refusing), ProgressMode::kBar);
  EXPECT_EQ(choose_progress(When::kAuto, {}), ProgressMode::kLog);
}

TEST(WakeupPipe, stays_raised) {
  Wakeup wakeup;
  EXPECT_FALSE(wakeup.is_raised());
  wakeup.raise();
  wakeup.raise();
  EXPECT_TRUE(wakeup.is_raised());
  wait_for_any({-1, wakeup.fd()}, std::chrono::hours(1)); // returns at once
  EXPECT_TRUE(wakeup.is_raised());
}

} // namespace
} // namespace parallel_loader
