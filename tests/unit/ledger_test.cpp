// ledger_test: what the ledger's statements are given and what is made of their results.
#include "core/ledger.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_executor.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

TEST(Ledger, statements_name_the_schema_they_are_given) {
  FakeExecutor executor;
  Ledger(executor, "odd \"schema").mark_running(1);
  EXPECT_NE(executor.calls.at(0).sql.find("UPDATE \"odd \"\"schema\".pull"), std::string::npos);
  EXPECT_EQ(executor.calls.at(0).sql.find('@'), std::string::npos);
}

TEST(Ledger, pull_without_run_starts_one_of_its_own) {
  FakeExecutor executor;
  executor.answers = {one_row({"7"}), one_row({"8"})};
  Ledger ledger(executor);
  PullRequest request;
  EXPECT_EQ(ledger.create_pull(request), 7);
  EXPECT_EQ(executor.calls.at(0).params.at(0), std::nullopt);
  request.run_id = 3;
  EXPECT_EQ(ledger.create_pull(request), 8);
  EXPECT_EQ(executor.calls.at(1).params.at(0), "3");
}

TEST(Ledger, empty_text_is_stored_as_null_but_no_column_as_an_empty_array) {
  FakeExecutor executor;
  executor.answers = {one_row({"1"})};
  PullRequest request;
  request.columns.emplace();
  (void)Ledger(executor).create_pull(request);
  const std::vector<Param> &params = executor.calls.at(0).params;
  EXPECT_EQ(params.at(5), std::nullopt); // key
  EXPECT_EQ(params.at(8), "{}");         // columns
  EXPECT_EQ(params.at(9), std::nullopt); // filter
}

TEST(Ledger, plan_stores_open_bounds_as_null) {
  FakeExecutor executor;
  executor.answers = {affected(3)};
  PullPlan plan;
  plan.source_table = {"public", "T"};
  plan.columns = {"a"};
  plan.chunks = {{.range = {std::nullopt, "NULL"}, .row_estimate = 7, .byte_estimate = 700},
                 {.range = {"NULL", std::nullopt}, .relation = "\"s\".\"p\""},
                 {.range = {{}, {}, true}}};
  Ledger(executor).record_plan(5, plan);
  const std::vector<Param> &params = executor.calls.at(0).params;
  EXPECT_EQ(params.at(1), "public.\"T\"");
  EXPECT_EQ(params.at(12), R"({NULL,"NULL",NULL})");
  EXPECT_EQ(params.at(13), R"({"NULL",NULL,NULL})");
  EXPECT_EQ(params.at(14), R"({"f","f","t"})");
  EXPECT_EQ(params.at(15), R"({"","\"s\".\"p\"",""})");
  EXPECT_EQ(params.at(16), R"({"7","0","0"})");
  EXPECT_EQ(params.at(17), R"({"700","0","0"})");
}

TEST(Ledger, plan_of_a_pull_that_is_not_there_is_an_error) {
  FakeExecutor executor;
  PullPlan plan;
  plan.chunks = {PlannedChunk{}};
  EXPECT_SQLSTATE("XX000", [&] { Ledger(executor).record_plan(5, plan); }());
}

TEST(Ledger, plan_is_read_back_for_a_worker) {
  FakeExecutor executor;
  executor.answers = {
      one_row({"public.\"T\"", "id", "\"pg_catalog\".\"int8\"", "binary", "3-1", "150020"}),
      Rows(1, {"a", "B c"})};
  const PullPlan plan = Ledger(executor).load_plan(5);
  EXPECT_EQ(plan.source_table, (QualifiedName{"public", "T"}));
  EXPECT_EQ(plan.key, "id");
  EXPECT_EQ(plan.bound_type, "\"pg_catalog\".\"int8\"");
  EXPECT_EQ(plan.format, Format::kBinary);
  EXPECT_EQ(plan.columns, (std::vector<std::string>{"a", "B c"}));
}

TEST(Ledger, pull_that_is_not_there_cannot_be_read) {
  FakeExecutor executor;
  EXPECT_SQLSTATE("42704", Ledger(executor).load_plan(5));
}

TEST(Ledger, claim_returns_the_chunk_or_nothing) {
  FakeExecutor executor;
  executor.answers = {one_row({"4", "1", std::nullopt, "f"})};
  Ledger ledger(executor);
  const std::optional<ClaimedChunk> chunk = ledger.claim_chunk(1);
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->number, 4);
  EXPECT_EQ(chunk->range, (Range{"1", std::nullopt}));
  EXPECT_FALSE(ledger.claim_chunk(1));
}

TEST(Ledger, claim_takes_a_row_lock_and_never_waits_for_one) {
  FakeExecutor executor;
  (void)Ledger(executor).claim_chunk(1);
  EXPECT_NE(executor.calls.at(0).sql.find("FOR UPDATE SKIP LOCKED"), std::string::npos);
}

TEST(Ledger, chunk_is_done_exactly_once) {
  FakeExecutor executor;
  executor.answers = {affected(1), affected(0)};
  Ledger ledger(executor);
  EXPECT_NO_THROW(ledger.complete_chunk(1, 1, {10, 100, "copy"}));
  EXPECT_SQLSTATE("XX000", [&] { ledger.complete_chunk(1, 1, {10, 100, "copy"}); }());
}

TEST(Ledger, end_is_written_under_its_name) {
  FakeExecutor executor;
  Ledger ledger(executor);
  ledger.end_pull(1, PullEnd::kDone, "", "");
  ledger.end_pull(1, PullEnd::kFailed, "22012", "division by zero");
  ledger.end_pull(1, PullEnd::kCancelled, "57014", "canceled");
  EXPECT_EQ(executor.calls.at(0).params, (std::vector<Param>{"1", "done", {}, {}}));
  EXPECT_EQ(executor.calls.at(1).params,
            (std::vector<Param>{"1", "failed", "22012", "division by zero"}));
  EXPECT_EQ(executor.calls.at(2).params.at(1), "cancelled");
}

TEST(Ledger, totals_are_read_in_their_order) {
  FakeExecutor executor;
  executor.answers = {one_row({"30", "300", "4", "2"})};
  const Ledger::Totals totals = Ledger(executor).totals(1);
  EXPECT_EQ(totals.row_count, 30);
  EXPECT_EQ(totals.byte_count, 300);
  EXPECT_EQ(totals.chunk_count, 4);
  EXPECT_EQ(totals.done_count, 2);
}

} // namespace
} // namespace parallel_loader
