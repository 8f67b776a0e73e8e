// durable_source_test: how the source is made to flush what an append builds on.
#include "core/base/error.hpp"
#include "core/source/durable_source.hpp"

#include "tests/unit/fake_executor.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <thread>

namespace parallel_loader {
namespace {

using namespace testing;

// What a transaction begins with.
const std::deque<Rows> kBegin(3);

std::deque<Rows> operator+(std::deque<Rows> one, const std::deque<Rows> &other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

// The location up to which all has to be flushed, and the transaction that commits for it.
std::deque<Rows> committed(const Rows &possible) {
  return kBegin + std::deque<Rows>{possible, one_row({"0/16B3748"}), {}} + kBegin +
         std::deque<Rows>{{}, {}} + kBegin;
}

// Answers: is it a standby, may it look, may it write.
Rows possible(const char *is_standby, const char *may_look, const char *may_write,
              const char *delay_ms = "200") {
  return one_row({is_standby, may_look, may_write, "150020", delay_ms});
}

bool was_asked(const FakeExecutor &executor, std::string_view part) {
  for (const FakeExecutor::Call &call : executor.calls)
    if (call.sql.find(part) != std::string::npos)
      return true;
  return false;
}

TEST(DurableSource, standby_has_flushed_what_it_shows) {
  FakeExecutor executor;
  executor.answers = kBegin + std::deque<Rows>{possible("t", "f", "f")};
  EXPECT_TRUE(make_durable(executor));
  EXPECT_FALSE(was_asked(executor, "READ WRITE"));
  EXPECT_EQ(executor.calls.back().sql, "COMMIT");
}

TEST(DurableSource, commit_that_has_written_flushes_at_once) {
  FakeExecutor executor;
  executor.answers = committed(possible("f", "t", "t")) + std::deque<Rows>{one_row({"t"})};
  EXPECT_TRUE(make_durable(executor));
  EXPECT_TRUE(was_asked(executor, "pg_logical_emit_message"));
  EXPECT_TRUE(was_asked(executor, "set_config('synchronous_commit', 'local', true)"));
  EXPECT_TRUE(was_asked(executor, "'0/16B3748'"));
  EXPECT_FALSE(was_asked(executor, "pg_sleep"));
}

// Whatever the role and the database are set to.
TEST(DurableSource, nothing_is_asked_outside_of_a_transaction_without_limits) {
  FakeExecutor executor;
  executor.answers = committed(possible("f", "t", "f")) +
                     std::deque<Rows>{one_row({"f"}), one_row({""}), one_row({"t"})};
  EXPECT_TRUE(make_durable(executor));
  bool is_within = false;
  for (size_t i = 0; i < executor.calls.size(); ++i) {
    const std::string &sql = executor.calls[i].sql;
    if (sql.starts_with("BEGIN")) {
      is_within = true;
      EXPECT_NE(sql.find("READ COMMITTED"), std::string::npos);
      EXPECT_EQ(executor.calls[++i].sql, "SET LOCAL statement_timeout = 0");
      EXPECT_NE(executor.calls[++i].sql.find("'transaction_timeout', '0', true"),
                std::string::npos);
      continue;
    }
    EXPECT_TRUE(is_within) << sql;
    is_within = sql != "COMMIT";
  }
  EXPECT_FALSE(is_within);
}

TEST(DurableSource, role_that_may_write_need_not_look) {
  FakeExecutor executor;
  executor.answers = kBegin + std::deque<Rows>{possible("f", "f", "t")};
  EXPECT_TRUE(make_durable(executor));
  EXPECT_EQ(executor.calls.back().sql, "COMMIT");
}

TEST(DurableSource, role_that_may_do_neither_cannot_tell) {
  FakeExecutor executor;
  executor.answers = kBegin + std::deque<Rows>{possible("f", "f", "f")};
  EXPECT_FALSE(make_durable(executor));
}

TEST(DurableSource, role_that_may_not_write_waits) {
  FakeExecutor executor;
  executor.answers = committed(possible("f", "t", "f")) +
                     std::deque<Rows>{one_row({"f"}), one_row({""}), one_row({"t"})};
  EXPECT_TRUE(make_durable(executor));
  EXPECT_TRUE(was_asked(executor, "pg_current_xact_id"));
  EXPECT_TRUE(was_asked(executor, "pg_sleep"));
}

// A source that takes its time for every answer.
class SlowExecutor final : public Executor {
public:
  using Executor::exec;
  Rows exec(std::string_view sql, std::span<const Param> params) override {
    if (sql.find("pg_sleep") != std::string_view::npos)
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    return fake.exec(sql, params);
  }

  FakeExecutor fake;
};

TEST(DurableSource, slow_answers_do_not_lengthen_the_wait) {
  SlowExecutor executor;
  executor.fake.answers = committed(possible("f", "t", "f", "1"));
  for (int turn = 0; turn < 500; ++turn)
    executor.fake.answers.push_back(one_row({"f"}));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(make_durable(executor));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(DurableSource, delay_that_no_server_has_is_refused) {
  for (const char *delay : {"-1", "9223372036854775807", "never", ""}) {
    FakeExecutor executor;
    executor.answers = committed(possible("f", "t", "f", delay));
    EXPECT_THROW((void)make_durable(executor), Error) << delay;
  }
}

TEST(DurableSource, what_is_never_flushed_is_not_durable) {
  FakeExecutor executor;
  executor.answers = committed(possible("f", "t", "f", "10000"));
  for (int turn = 0; turn < 5000; ++turn)
    executor.answers.push_back(one_row({"f"}));
  EXPECT_FALSE(make_durable(executor));
  EXPECT_LT(executor.calls.size(), 2000U) << "15 seconds in steps of 20 ms, each two statements";
}

} // namespace
} // namespace parallel_loader
