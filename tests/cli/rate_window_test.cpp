// rate_window_test: the rate of the last ten seconds.
#include "orchestrator/run/rate_window.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace std::chrono_literals;

TEST(RateWindow, has_no_rate_before_time_has_passed) {
  RateWindow window;
  EXPECT_EQ(window.add(0s, 500), 0);
  EXPECT_EQ(window.add(0s, 900), 0);
}

TEST(RateWindow, spans_all_samples_at_first) {
  RateWindow window;
  (void)window.add(0s, 0);
  EXPECT_EQ(window.add(2s, 100), 50);
  EXPECT_EQ(window.add(4s, 400), 100);
}

TEST(RateWindow, forgets_what_is_older_than_ten_seconds) {
  RateWindow window;
  double rate = 0;
  // A fast start, then 10 bytes a second.
  (void)window.add(0s, 0);
  for (int second = 1; second <= 30; ++second)
    rate = window.add(std::chrono::seconds(second), 1'000'000 + 10 * second);
  EXPECT_EQ(rate, 10);
}

TEST(RateWindow, falls_to_zero_when_nothing_comes) {
  RateWindow window;
  (void)window.add(0s, 0);
  (void)window.add(1s, 1000);
  EXPECT_EQ(window.add(5s, 1000), 200);
  EXPECT_EQ(window.add(12s, 1000), 0);
}

// Looks that are further apart than the window still have one behind them.
TEST(RateWindow, spans_one_long_pause) {
  RateWindow window;
  (void)window.add(0s, 0);
  EXPECT_EQ(window.add(60s, 600), 10);
  EXPECT_EQ(window.add(120s, 3000), 40);
}

TEST(RateWindow, is_not_below_zero_when_a_retry_takes_bytes_back) {
  RateWindow window;
  (void)window.add(0s, 1000);
  EXPECT_EQ(window.add(1s, 400), 0);
}

TEST(RunRates, tables_that_take_turns_do_not_lower_the_rate_of_the_run) {
  RunView run;
  for (int id = 1; id <= 30; ++id)
    run.pulls.push_back({.pull_id = id});
  RunRates rates;
  for (int second = 0; second <= 20; ++second) {
    PullView &pull = run.pulls[static_cast<size_t>(second)];
    pull.state = PullState::kRunning;
    pull.bytes = second == 0 ? 0 : 1000;
    rates.note(run, std::chrono::seconds(second));
    EXPECT_DOUBLE_EQ(run.bytes_per_s, second == 0 ? 0 : 1000);
    pull.state = PullState::kDone;
  }
  EXPECT_EQ(run.pulls[20].bytes_per_s, 0); // it was seen once
}

} // namespace
} // namespace parallel_loader
