// retry_test: which failures pass, and how long the rests are.
#include "core/base/retry.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace parallel_loader {
namespace {

using std::chrono::milliseconds;

TEST(Retry, failures_that_pass_are_worth_another_attempt) {
  for (const char *code : {"08000", "08001", "08003", "08006", "40001", "40P01", "53000", "53100",
                           "53300", "53400", "57P01", "57P02", "57P03"})
    EXPECT_TRUE(is_worth_retrying(code)) << code;
}

TEST(Retry, failures_that_would_happen_again_are_not) {
  for (const char *code : {"", "08P01", "22P02", "23505", "42501", "42P01", "53200", "55000",
                           "57014", "57P04", "XX000", "0A000", "40003"})
    EXPECT_FALSE(is_worth_retrying(code)) << code;
}

TEST(Retry, a_lock_that_others_have_on_the_source_is_waited_for) {
  for (const char *code : {"55P03", "40P01"}) {
    EXPECT_TRUE(is_lock_trouble(code)) << code;
    EXPECT_TRUE(is_worth_retrying_on_source(code)) << code;
  }
  EXPECT_FALSE(is_worth_retrying("55P03")); // here it is somebody's setting
  EXPECT_TRUE(is_worth_retrying_on_source("08006"));
  EXPECT_FALSE(is_worth_retrying_on_source("55000"));
  EXPECT_FALSE(is_lock_trouble("40001"));
}

TEST(Backoff, doubles_from_a_quarter_of_a_second_to_half_a_minute) {
  Backoff backoff;
  milliseconds whole{250};
  for (int failure = 0; failure < 100; ++failure) {
    const milliseconds rest = backoff.next();
    EXPECT_GE(rest, whole / 2) << failure;
    EXPECT_LE(rest, whole) << failure;
    whole = std::min(whole * 2, milliseconds(30'000));
  }
}

TEST(Backoff, begins_anew_after_a_success) {
  Backoff backoff;
  for (int failure = 0; failure < 10; ++failure)
    (void)backoff.next();
  backoff.reset();
  EXPECT_LE(backoff.next(), milliseconds(250));
}

TEST(Backoff, those_that_failed_together_do_not_come_back_together) {
  Backoff one;
  Backoff other;
  int same = 0;
  for (int failure = 0; failure < 50; ++failure)
    same += one.next() == other.next() ? 1 : 0;
  EXPECT_LT(same, 25);
}

} // namespace
} // namespace parallel_loader
