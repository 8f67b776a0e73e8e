// local_relations_test: the words by which the ledger knows the tables that rows went into.
#include "core/ledger/forget_ledger.hpp"
#include "core/ledger/local_relations.hpp"

#include "tests/unit/fake_executor.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

TEST(LocalRelations, words_are_merged_each_once) {
  EXPECT_EQ(merge_local_relations("@7 2:20 1:10", "@7 1:10 3:30:u"), "1:10 2:20 3:30:u @7");
  EXPECT_EQ(merge_local_relations("", ""), "");
}

TEST(LocalRelations, words_without_those_that_are_known) {
  EXPECT_EQ(words_without("@7 1:10 2:21 3:30", "@7 2:20 1:10"), "2:21 3:30");
}

TEST(LocalRelations, unlogged_tables_are_marked) {
  EXPECT_TRUE(has_unlogged("@7 1:10 2:20:u"));
  EXPECT_FALSE(has_unlogged("@7 1:10 2:20"));
}

TEST(LocalRelations, other_filenode_is_found) {
  EXPECT_EQ(find_other_filenode("@7 1:10 2:20", "@7 1:10 2:21"), "2");
  EXPECT_EQ(find_other_filenode("@7 1:10", "@7 1:10:u"), "1");
}

TEST(LocalRelations, new_table_is_no_other_filenode) {
  EXPECT_EQ(find_other_filenode("@7 1:10", "@7 1:10 11:10 2:20"), std::nullopt);
  EXPECT_EQ(find_other_filenode("", "@7 1:10"), std::nullopt);
}

TEST(LocalRelations, nothing_recorded_is_nothing_changed) {
  FakeExecutor executor;
  EXPECT_EQ(LocalRelations(executor).why_changed(1, ""), std::nullopt);
  EXPECT_TRUE(executor.calls.empty());
}

TEST(LocalRelations, names_are_words_apart) {
  const char *words = "@7 1:10 16:20 =16=public.\"o%20l%25d%3Au\" 17:30 =17=public.users";
  EXPECT_EQ(recorded_name(words, "16"), "public.\"o l%d:u\"");
  EXPECT_EQ(recorded_name(words, "17"), "public.users");
  EXPECT_EQ(recorded_name(words, "1"), "");
  EXPECT_FALSE(has_unlogged(words));
  EXPECT_EQ(find_other_filenode("16:20 =16=public.old", "16:20 =16=public.renamed"), std::nullopt);
}

TEST(LocalRelations, table_that_is_gone_is_named_as_it_was) {
  const std::optional<std::string> no_name;
  FakeExecutor executor;
  executor.answers = {one_row({"f"}), one_row({"16", no_name, no_name, "t", "t"}), one_row({"f"}),
                      one_row({"1", no_name, no_name, "t", "t"})};
  LocalRelations relations(executor);
  EXPECT_NE(relations.why_changed(1, "16:2 =16=s.old")->find("Table s.old, which"),
            std::string::npos);
  EXPECT_NE(relations.why_changed(1, "1:1", "s.t")->find("Table s.t, which"), std::string::npos);
}

TEST(LocalRelations, change_is_told_in_a_sentence) {
  const std::optional<std::string> no_name;
  FakeExecutor executor;
  executor.answers = {one_row({"f"}), one_row({"16400", no_name, no_name, "t", "t"}),
                      one_row({"f"}), one_row({"16400", "s", "Old", "f", "t"}),
                      one_row({"f"}), one_row({"16400", "s", "Old", "f", "f"}),
                      one_row({"t"})};
  LocalRelations relations(executor);
  EXPECT_NE(relations.why_changed(1, "@7 1:1")->find("OID 16400"), std::string::npos);
  EXPECT_NE(relations.why_changed(1, "@7 1:1")->find("s.\"Old\", which"), std::string::npos);
  EXPECT_NE(relations.why_changed(1, "@7 1:1")->find("TRUNCATE"), std::string::npos);
  EXPECT_NE(relations.why_changed(1, "@7 1:1")->find("another server"), std::string::npos);
}

TEST(LocalRelations, pull_without_a_done_chunk_has_lost_nothing) {
  FakeExecutor executor;
  EXPECT_EQ(LocalRelations(executor).why_pull_changed(5), std::nullopt);
}

TEST(LocalRelations, pull_of_an_older_version_is_not_known) {
  FakeExecutor executor;
  executor.answers = {one_row({"16384", "t", "f"})};
  EXPECT_NE(LocalRelations(executor).why_pull_changed(5)->find("older version"), std::string::npos);
}

TEST(LocalRelations, crash_has_emptied_unlogged_tables) {
  FakeExecutor executor;
  executor.answers = {one_row({"16384", "f", "t", "s.t"}), one_row({"@7 1:10:u"}), one_row({"f"}),
                      Rows()};
  EXPECT_EQ(LocalRelations(executor).why_pull_changed(5), unlogged_loss());
}

TEST(ForgetLedger, name_without_schema_means_any) {
  FakeExecutor executor;
  (void)ForgetLedger(executor, {16384, "Old", std::nullopt}).owners();
  (void)ForgetLedger(executor, {16384, "s.\"Old\"", ""}).owners();
  (void)ForgetLedger(executor, {16384, std::nullopt, std::nullopt}).owners();
  EXPECT_EQ(executor.calls.at(0).params, (std::vector<Param>{"16384", "old", ".old", {}}));
  EXPECT_EQ(executor.calls.at(1).params, (std::vector<Param>{"16384", "s.\"Old\"", {}, ""}));
  EXPECT_EQ(executor.calls.at(2).params, (std::vector<Param>{"16384", {}, {}, {}}));
}

TEST(ForgetLedger, marks_and_bounds_are_counted) {
  FakeExecutor executor;
  executor.answers = {affected(2), affected(1)};
  EXPECT_EQ(ForgetLedger(executor, {16384, {}, {}}).forget(), 3);
}

TEST(ForgetLedger, unlogged_tables_are_vouched_for_in_both_places) {
  FakeExecutor executor;
  executor.answers = {affected(1), affected(5), one_row({"2"}), affected(1),
                      affected(5), affected(6), one_row({"2"})};
  EXPECT_EQ(ForgetLedger(executor, {16384, {}, {}}).keep("@7 1:10"), 3);
  EXPECT_EQ(executor.calls.size(), 3U);
  EXPECT_EQ(ForgetLedger(executor, {16384, {}, {}}).keep("@7 1:10:u"), 3);
  EXPECT_EQ(executor.calls.size(), 7U);
}

} // namespace
} // namespace parallel_loader
