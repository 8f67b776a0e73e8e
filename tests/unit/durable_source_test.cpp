// durable_source_test: how long an append waits for the source to flush.
#include "core/durable_source.hpp"

#include "tests/unit/fake_executor.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

TEST(DurableSource, standby_has_flushed_what_it_shows) {
  FakeExecutor executor;
  executor.answers = {one_row({"t"})};
  DurableSource(executor).await();
  EXPECT_EQ(executor.calls.size(), 1U);
}

TEST(DurableSource, waits_for_what_had_ended_when_it_began) {
  FakeExecutor executor;
  executor.answers = {one_row({"f"}), one_row({"0/16B3748", "200"}),
                      one_row({"f"}), one_row({""}),
                      one_row({"t"}), one_row({"f"})};
  DurableSource(executor).await();
  ASSERT_EQ(executor.calls.size(), 5U);
  EXPECT_NE(executor.calls[2].sql.find("'0/16B3748'"), std::string::npos);
  EXPECT_NE(executor.calls[3].sql.find("pg_sleep"), std::string::npos);
  EXPECT_EQ(executor.calls[4].sql, executor.calls[2].sql);
}

TEST(DurableSource, open_transaction_that_is_not_flushed_does_not_hold_it_for_ever) {
  FakeExecutor executor;
  executor.answers = {one_row({"f"}), one_row({"0/16B3748", "10000"})};
  for (int turn = 0; turn < 5000; ++turn)
    executor.answers.push_back(one_row({"f"}));
  DurableSource(executor).await();
  EXPECT_GT(executor.calls.size(), 1000U) << "30 seconds in steps of 50 ms, each two statements";
  EXPECT_LT(executor.calls.size(), 2000U);
}

} // namespace
} // namespace parallel_loader
