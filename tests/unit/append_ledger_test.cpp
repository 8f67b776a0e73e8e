// append_ledger_test: what the statements on marks are given and what is made of their results.
#include "core/ledger/append_ledger.hpp"

#include "tests/unit/fake_executor.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

const AppendSubject kSubject = {
    .table = 16384, .source_database = "d", .source_table = "public.\"T\"", .filter = "a > 1"};

// Role 20 may do what role 10 may.
bool may_move(uint32_t role, uint32_t owner) {
  return role == owner || (role == 20 && owner == 10);
}

TEST(AppendLedger, mark_is_read_back) {
  FakeExecutor executor;
  executor.answers = {one_row({"12", "10"}),
                      one_row({"700", "800", "1:2 3:4", "7001", "2", "id", "4711", "12", "0/5",
                               "@7 9:9:u", "t", "t", "{a}"}),
                      one_row({"13", {}}),
                      one_row({"700", "700", "", {}, {}, {}, {}, "13", {}, {}, {}, "f", {}})};
  AppendLedger ledger(executor);
  const std::optional<AppendMark> mark = ledger.find_mark(kSubject, may_move);
  ASSERT_TRUE(mark);
  EXPECT_EQ(mark->horizon, 700);
  EXPECT_EQ(mark->compare_to, 800);
  EXPECT_EQ(mark->relations, (std::vector<std::string>{"1:2", "3:4"}));
  EXPECT_EQ(mark->system_identifier, "7001");
  EXPECT_EQ(mark->timeline, "2");
  EXPECT_EQ(mark->key, "id");
  EXPECT_EQ(mark->highest_key, "4711");
  EXPECT_EQ(mark->pull_id, 12);
  EXPECT_EQ(mark->lsn, "0/5");
  EXPECT_EQ(mark->local_relations, "@7 9:9:u");
  EXPECT_TRUE(mark->is_emptied);
  EXPECT_TRUE(mark->is_recorded);
  EXPECT_EQ(mark->source_path, "{a}");
  EXPECT_EQ(mark->owner, 10U);
  EXPECT_EQ(executor.calls.at(0).params,
            (std::vector<Param>{"16384", "d", "public.\"T\"", "a > 1"}));

  const std::optional<AppendMark> bare = ledger.find_mark(kSubject, may_move);
  ASSERT_TRUE(bare);
  EXPECT_TRUE(bare->relations.empty());
  EXPECT_EQ(bare->system_identifier, "");
  EXPECT_EQ(bare->highest_key, std::nullopt);
  EXPECT_FALSE(bare->is_emptied);
  EXPECT_FALSE(bare->is_recorded);
  EXPECT_EQ(bare->source_path, std::nullopt);
  EXPECT_EQ(bare->owner, 0U);
}

TEST(AppendLedger, there_may_be_no_mark) {
  FakeExecutor executor;
  EXPECT_FALSE(AppendLedger(executor).find_mark(kSubject, may_move));
}

TEST(AppendLedger, youngest_mark_is_told_by_id_not_by_clock) {
  FakeExecutor executor;
  (void)AppendLedger(executor).find_mark(kSubject, may_move);
  EXPECT_NE(executor.calls.at(0).sql.find("ORDER BY m.pull_id"), std::string::npos);
}

TEST(AppendLedger, youngest_mark_is_of_those_who_may_move_the_first) {
  struct Case {
    std::vector<std::pair<std::string, std::string>> candidates; // id and owner
    std::string wanted;
    uint32_t owner;
  };
  const Case cases[] = {
      {{{"1", "10"}, {"2", "10"}}, "2", 10},
      {{{"1", "10"}, {"2", "30"}}, "1", 10},
      {{{"1", "10"}, {"2", "20"}}, "2", 10},
      {{{"1", "20"}, {"2", "10"}}, "1", 20},
      {{{"1", "10"}, {"2", "20"}, {"3", "30"}, {"4", "10"}}, "4", 10},
      {{{"1", "0"}, {"2", "30"}}, "2", 0},
  };
  for (const Case &one : cases) {
    FakeExecutor executor;
    std::vector<std::optional<std::string>> cells;
    for (const auto &[id, owner] : one.candidates) {
      cells.emplace_back(id);
      cells.emplace_back(owner);
    }
    executor.answers = {Rows(2, cells),
                        one_row({"1", "1", "", {}, {}, {}, {}, one.wanted, {}, {}, {}, {}, {}})};
    const std::optional<AppendMark> mark = AppendLedger(executor).find_mark(kSubject, may_move);
    EXPECT_EQ(executor.calls.at(1).params.back(), one.wanted);
    EXPECT_EQ(mark->owner, one.owner);
  }
}

TEST(AppendLedger, unfinished_pull_is_looked_for_above_the_mark) {
  FakeExecutor executor;
  executor.answers = {Rows(2, {{"15"}, {"30"}, {"14"}, {"20"}})};
  AppendLedger ledger(executor);
  AppendMark mark;
  mark.pull_id = 12;
  mark.owner = 10;
  EXPECT_EQ(ledger.find_unfinished(kSubject, mark, may_move), 14);
  EXPECT_EQ(executor.calls.at(0).params.back(), "12");
  EXPECT_EQ(ledger.find_unfinished(kSubject, mark, may_move), std::nullopt);
}

TEST(AppendLedger, mark_replaces_the_one_before) {
  FakeExecutor executor;
  const AppendMark mark = {.horizon = 900,
                           .compare_to = 950,
                           .relations = {"1:2", "3:4"},
                           .system_identifier = "7001",
                           .timeline = "",
                           .key = "id",
                           .highest_key = "5000",
                           .pull_id = 15,
                           .lsn = "0/6",
                           .local_relations = "@7 9:9",
                           .source_path = "{a}",
                           .owner = 10};
  AppendLedger(executor).save_mark(kSubject, mark);
  ASSERT_EQ(executor.calls.size(), 2U);
  EXPECT_NE(executor.calls[0].sql.find("DELETE FROM \"parallel_loader\".mark"), std::string::npos);
  EXPECT_EQ(executor.calls[0].params, (std::vector<Param>{"16384", "d", "public.\"T\"", "a > 1"}));
  EXPECT_NE(executor.calls[1].sql.find("INSERT INTO \"parallel_loader\".mark"), std::string::npos);
  EXPECT_EQ(
      executor.calls[1].params,
      (std::vector<Param>{"16384", "d", "public.\"T\"", "a > 1", "900", "950", "1:2 3:4", "7001",
                          std::nullopt, "id", "5000", "15", "0/6", "@7 9:9", "{a}", "10"}));
}

TEST(AppendLedger, mark_of_an_unlogged_table_is_lost_in_a_crash) {
  FakeExecutor executor;
  AppendMark mark;
  mark.pull_id = 15;
  mark.local_relations = "@7 9:9:u";
  AppendLedger(executor).save_mark(kSubject, mark);
  ASSERT_EQ(executor.calls.size(), 3U);
  EXPECT_NE(executor.calls[2].sql.find("unlogged_chunk"), std::string::npos);
  EXPECT_EQ(executor.calls[2].params, std::vector<Param>{"15"});
}

TEST(AppendLedger, what_is_saved_is_what_is_found) {
  const std::vector<std::string> relations = {"16384:16384", "16390:99999"};
  FakeExecutor executor;
  executor.answers = {
      one_row({"1", "10"}),
      one_row({"1", "1", join_relations(relations), {}, {}, {}, {}, "1", {}, {}, {}, {}, {}})};
  EXPECT_EQ(AppendLedger(executor).find_mark(kSubject, may_move)->relations, relations);
}

TEST(AppendLedger, pruning_is_for_one_table) {
  FakeExecutor executor;
  AppendLedger(executor).prune(16384);
  EXPECT_EQ(executor.calls.at(0).params, (std::vector<Param>{"16384"}));
}

} // namespace
} // namespace parallel_loader
