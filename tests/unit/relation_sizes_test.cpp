// relation_sizes_test: what the catalogue says of leaves, and what a cut by ctid needs.
#include "core/source/relation_sizes.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_executor.hpp"
#include "tests/unit/sample_catalog.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

Leaf heap_leaf() {
  return {.kind = 'r', .is_heap = true, .is_readable = true, .can_read_ctid = true};
}

TEST(RelationSizes, reads_a_leaf) {
  FakeExecutor source;
  source.answers = {one_row({"150020", "UTF8"}),
                    one_row({"16385", "s", "L 1", "r", "t", "t", "f", "t", "12", "98304", "-1"})};
  const RelationSizes sizes = RelationSizes::find(source, source_table({}), std::nullopt);
  EXPECT_EQ(sizes.server_version, 150020);
  ASSERT_EQ(sizes.leaves.size(), 1U);
  const Leaf &leaf = sizes.leaves.front();
  EXPECT_EQ(leaf.oid, 16385U);
  EXPECT_EQ(leaf.name.quoted(), "\"s\".\"L 1\"");
  EXPECT_TRUE(leaf.is_heap && leaf.is_readable && !leaf.can_read_ctid && sizes.can_read_ctid);
  EXPECT_EQ(sizes.pages(), 12);
  EXPECT_EQ(sizes.bytes(), 98304);
  EXPECT_EQ(leaf.rows, -1);
}

TEST(RelationSizes, leaf_that_cannot_be_breaks_the_protocol) {
  const std::vector<std::optional<std::string>> sound{"16385", "s", "l",  "r",     "t", "t",
                                                      "f",     "t", "12", "98304", "-1"};
  const std::vector<std::optional<std::string>> lies{std::nullopt, "", "-7", "x",
                                                     "99999999999999999999"};
  for (size_t column = 0; column < sound.size(); ++column)
    for (const std::optional<std::string> &lie : lies) {
      const bool is_name = column >= 1 && column <= 3;
      if (is_name && lie && !lie->empty())
        continue; // any text is a name
      FakeExecutor source;
      std::vector<std::optional<std::string>> values = sound;
      values[column] = lie;
      source.answers = {one_row({"150020", "UTF8"}), one_row(values)};
      EXPECT_SQLSTATE("08P01", RelationSizes::find(source, source_table({}), std::nullopt))
          << column << " " << lie.value_or("NULL");
    }
}

TEST(RelationSizes, sizes_beyond_any_relation_are_refused) {
  for (const auto &[pages, bytes, rows] :
       {std::tuple("4294967296", "0", "0"), std::tuple("1", "9223372036854775807", "0"),
        std::tuple("1", "0", "9223372036854775807"), std::tuple("-1", "0", "0")}) {
    FakeExecutor source;
    source.answers = {one_row({"150020", "UTF8"}),
                      one_row({"16385", "s", "l", "r", "t", "t", "f", "t", pages, bytes, rows})};
    EXPECT_SQLSTATE("08P01", RelationSizes::find(source, source_table({}), std::nullopt));
  }
}

TEST(RelationSizes, leaf_that_is_named_twice_is_refused) {
  FakeExecutor source;
  std::vector<std::optional<std::string>> values{"16385", "s", "l",  "r",     "t", "t",
                                                 "f",     "t", "12", "98304", "-1"};
  const std::vector<std::optional<std::string>> leaf = values;
  values.insert(values.end(), leaf.begin(), leaf.end());
  source.answers = {one_row({"150020", "UTF8"}), Rows(11, values)};
  EXPECT_SQLSTATE("08P01", RelationSizes::find(source, source_table({}), std::nullopt));
}

TEST(RelationSizes, sums_of_the_largest_sizes_stay_numbers) {
  RelationSizes sizes{.server_version = 150000, .leaves = {}};
  Leaf leaf = heap_leaf();
  leaf.bytes = leaf.rows = 1LL << 48;
  sizes.leaves.assign(100000, leaf);
  EXPECT_GT(sizes.bytes(), 0);
  EXPECT_GT(sizes.rows(), 0);
}

TEST(RelationSizes, view_has_no_leaves) {
  FakeExecutor source;
  source.answers = {one_row({"150020", "UTF8"})};
  SourceTable table = source_table({});
  table.kind = 'v';
  EXPECT_TRUE(RelationSizes::find(source, table, std::nullopt).leaves.empty());
  EXPECT_EQ(source.calls.size(), 1U);
}

TEST(RelationSizes, partitions_are_asked_for_their_leaves) {
  FakeExecutor source;
  SourceTable table = source_table({});
  source.answers = {one_row({"150020", "UTF8"})};
  (void)RelationSizes::find(source, table, {{"a"}});
  EXPECT_EQ(source.calls.at(1).sql.find("pg_partition_tree"), std::string::npos);
  EXPECT_EQ(source.calls.at(1).params.at(1), "{\"a\"}");
  table.kind = 'p';
  source.answers = {one_row({"150020", "UTF8"})};
  (void)RelationSizes::find(source, table, {{"a"}});
  EXPECT_NE(source.calls.at(3).sql.find("pg_partition_tree"), std::string::npos);
}

TEST(RelationSizes, ctid_needs_version_heap_and_right) {
  RelationSizes sizes{.server_version = 140000, .leaves = {heap_leaf()}};
  EXPECT_EQ(sizes.missing_for_ctid(), "");
  sizes.server_version = 130023;
  EXPECT_NE(sizes.missing_for_ctid(), "");
  sizes.server_version = 140000;
  sizes.can_read_ctid = false;
  EXPECT_NE(sizes.missing_for_ctid(), "");
  sizes.can_read_ctid = true;
  sizes.leaves.front().is_heap = false;
  EXPECT_NE(sizes.missing_for_ctid(), "");
}

TEST(RelationSizes, foreign_leaf_does_not_keep_the_others_from_ctid) {
  RelationSizes sizes{.server_version = 140000, .leaves = {heap_leaf(), Leaf{.kind = 'f'}}};
  EXPECT_EQ(sizes.missing_for_ctid(), "");
  EXPECT_FALSE(sizes.has_tid_ranges(sizes.leaves.back()));
}

TEST(RelationSizes, one_leaf_that_may_not_be_read_is_enough) {
  RelationSizes sizes{.server_version = 140000, .leaves = {heap_leaf(), heap_leaf()}};
  EXPECT_TRUE(sizes.is_readable_by_leaf());
  sizes.leaves.back().is_readable = false;
  EXPECT_FALSE(sizes.is_readable_by_leaf());
}

} // namespace
} // namespace parallel_loader
