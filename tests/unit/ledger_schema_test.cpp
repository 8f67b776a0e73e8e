// ledger_schema_test: all statements on the ledger go to the schema that they are given.
#include "core/ledger/forget_ledger.hpp"
#include "core/ledger/found_pull.hpp"
#include "core/ledger/ledger.hpp"

#include "tests/unit/fake_executor.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

constexpr std::string_view kSchema = "o'dd \"schema";
const AppendSubject kAnySubject = {
    .table = 16384, .source_database = "@ledger@", .source_table = "public.t", .filter = ""};

bool anybody_may_move(uint32_t /*role*/, uint32_t /*owner*/) {
  return true;
}

// Of each statement but those that look at the server's catalogs alone.
void expect_schema(const FakeExecutor &executor, size_t statement_count) {
  size_t found = 0;
  for (const FakeExecutor::Call &call : executor.calls) {
    EXPECT_EQ(call.sql.find("@ledger@"), std::string::npos) << call.sql;
    EXPECT_EQ(call.sql.find("parallel_loader"), std::string::npos) << call.sql;
    EXPECT_EQ(call.sql.find("'\"o'dd"), std::string::npos) << call.sql;
    if (call.sql.find("\"o'dd \"\"schema\".") != std::string::npos)
      found++;
  }
  EXPECT_EQ(found, statement_count);
}

TEST(LedgerExecutor, schema_is_quoted_and_values_stay) {
  FakeExecutor executor;
  LedgerExecutor ledger(executor, kSchema);
  ledger.exec("SELECT $1 FROM @ledger@.pull, @ledger@.chunk", {"@ledger@"});
  EXPECT_EQ(executor.calls.at(0).sql,
            "SELECT $1 FROM \"o'dd \"\"schema\".pull, \"o'dd \"\"schema\".chunk");
  EXPECT_EQ(executor.calls.at(0).params, (std::vector<Param>{"@ledger@"}));
}

TEST(LedgerExecutor, replacement_is_not_looked_at_again) {
  FakeExecutor executor;
  LedgerExecutor(executor, "@ledger@").exec("TABLE @ledger@.pull");
  EXPECT_EQ(executor.calls.at(0).sql, "TABLE \"@ledger@\".pull");
}

TEST(LedgerSchema, pulls_are_in_it) {
  FakeExecutor executor;
  executor.answers = {one_row({"1"}), affected(1)};
  Ledger ledger(executor, kSchema);
  (void)ledger.create_pull(PullRequest());
  EXPECT_EQ(executor.calls.at(0).params.back(), "\"o'dd \"\"schema\".pull");
  ledger.record_plan(1, PullPlan());
  (void)ledger.claim_chunk(1);
  (void)ledger.relations(1);
  expect_schema(executor, 6);
}

TEST(LedgerSchema, marks_are_in_it) {
  FakeExecutor executor;
  executor.answers = {one_row({"12", "10"}),
                      Rows(),
                      Rows(),
                      one_row({"f"}),
                      one_row({"12", "t", "10"}),
                      one_row({"13", "16384", "@7 9:9"}),
                      one_row({"f"})};
  AppendLedger ledger(executor, kSchema);
  AppendMark mark;
  (void)ledger.find_mark(kAnySubject, anybody_may_move);
  (void)ledger.find_unfinished(kAnySubject, mark, anybody_may_move);
  (void)ledger.has_old_filter(16384, "a > 1");
  EXPECT_TRUE(ledger.find_unmarked(kAnySubject, mark, anybody_may_move)->is_open);
  EXPECT_EQ(ledger.find_successor(1), 13);
  mark.local_relations = "@7 9:9:u";
  ledger.save_mark(kAnySubject, mark);
  ledger.prune(16384);
  EXPECT_EQ(executor.calls.at(0).params.at(1), "@ledger@");
  expect_schema(executor, executor.calls.size() - 2);
}

TEST(LedgerSchema, forgotten_and_kept_ones_are_in_it) {
  FakeExecutor executor;
  executor.answers = {Rows(), Rows(), Rows(), Rows(), Rows(), Rows(), one_row({"1"})};
  ForgetLedger ledger(executor, {16384, {}, {}}, kSchema);
  (void)ledger.owners();
  (void)ledger.forget();
  (void)ledger.keep("@7 1:10:u");
  expect_schema(executor, 7);
}

TEST(LedgerSchema, local_relations_are_in_it) {
  FakeExecutor executor;
  executor.answers = {one_row({"@7 1:1"}), one_row({"1", "t", "f", "s.t"})};
  LocalRelations relations(executor, kSchema);
  (void)relations.recorded(1);
  (void)relations.why_pull_changed(1);
  expect_schema(executor, 2);
}

TEST(LedgerSchema, found_pulls_are_in_it) {
  FakeExecutor executor;
  PullFinder finder(executor, kSchema);
  (void)finder.find(1);
  (void)finder.find_live();
  (void)finder.find_held();
  (void)finder.find_live_into(16384);
  (void)finder.find_live_whole(kAnySubject);
  (void)finder.find_begun(16384, 10);
  executor.answers = {one_row({"f"})};
  (void)finder.has_old_filter(1);
  expect_schema(executor, 7);
}

} // namespace
} // namespace parallel_loader
