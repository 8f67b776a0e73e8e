// storage_test: what the catalogue says of leaves, and what a cut by ctid needs.
#include "core/storage.hpp"

#include "tests/unit/fake_executor.hpp"
#include "tests/unit/sample_catalog.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

Leaf heap_leaf() {
  return {.kind = 'r', .is_heap = true, .is_readable = true, .can_read_ctid = true};
}

TEST(Storage, reads_a_leaf) {
  FakeExecutor source;
  source.answers = {one_row({"150020"}),
                    one_row({"16385", "s", "L 1", "r", "t", "t", "f", "t", "12", "98304", "-1"})};
  const Storage storage = Storage::find(source, source_table({}), std::nullopt);
  EXPECT_EQ(storage.server_version, 150020);
  ASSERT_EQ(storage.leaves.size(), 1U);
  const Leaf &leaf = storage.leaves.front();
  EXPECT_EQ(leaf.oid, 16385U);
  EXPECT_EQ(leaf.name.quoted(), "\"s\".\"L 1\"");
  EXPECT_TRUE(leaf.is_heap && leaf.is_readable && !leaf.can_read_ctid && storage.can_read_ctid);
  EXPECT_EQ(storage.pages(), 12);
  EXPECT_EQ(storage.bytes(), 98304);
  EXPECT_EQ(leaf.rows, -1);
}

TEST(Storage, view_has_no_leaves) {
  FakeExecutor source;
  source.answers = {one_row({"150020"})};
  SourceTable table = source_table({});
  table.kind = 'v';
  EXPECT_TRUE(Storage::find(source, table, std::nullopt).leaves.empty());
  EXPECT_EQ(source.calls.size(), 1U);
}

TEST(Storage, partitions_are_asked_for_their_leaves) {
  FakeExecutor source;
  SourceTable table = source_table({});
  source.answers = {one_row({"150020"})};
  (void)Storage::find(source, table, {{"a"}});
  EXPECT_EQ(source.calls.at(1).sql.find("pg_partition_tree"), std::string::npos);
  EXPECT_EQ(source.calls.at(1).params.at(1), "{\"a\"}");
  table.kind = 'p';
  source.answers = {one_row({"150020"})};
  (void)Storage::find(source, table, {{"a"}});
  EXPECT_NE(source.calls.at(3).sql.find("pg_partition_tree"), std::string::npos);
}

TEST(Storage, ctid_needs_version_heap_and_right) {
  Storage storage{.server_version = 140000, .leaves = {heap_leaf()}};
  EXPECT_EQ(storage.missing_for_ctid(), "");
  storage.server_version = 130023;
  EXPECT_NE(storage.missing_for_ctid(), "");
  storage.server_version = 140000;
  storage.can_read_ctid = false;
  EXPECT_NE(storage.missing_for_ctid(), "");
  storage.can_read_ctid = true;
  storage.leaves.front().is_heap = false;
  EXPECT_NE(storage.missing_for_ctid(), "");
}

TEST(Storage, foreign_leaf_does_not_keep_the_others_from_ctid) {
  Storage storage{.server_version = 140000, .leaves = {heap_leaf(), Leaf{.kind = 'f'}}};
  EXPECT_EQ(storage.missing_for_ctid(), "");
  EXPECT_FALSE(storage.has_tid_ranges(storage.leaves.back()));
}

TEST(Storage, one_leaf_that_may_not_be_read_is_enough) {
  Storage storage{.server_version = 140000, .leaves = {heap_leaf(), heap_leaf()}};
  EXPECT_TRUE(storage.is_readable_by_leaf());
  storage.leaves.back().is_readable = false;
  EXPECT_FALSE(storage.is_readable_by_leaf());
}

} // namespace
} // namespace parallel_loader
