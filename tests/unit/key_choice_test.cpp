// key_choice_test: the key of a pull whose caller names none.
#include "core/plan/key_choice.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_source.hpp"
#include "tests/unit/sample_catalog.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

class KeyChoiceTest : public ::testing::Test {
protected:
  KeyChoiceTest() { source.add_leaf("t", 100); }

  KeyChoice choose(const std::string &key = {}, bool is_whole = true) {
    return choose_key(source, {.table = table, .types = types, .key = key, .is_whole = is_whole});
  }

  FakeSource source;
  Types types = builtin_types();
  SourceTable table = source_table({column("id", kInteger, true), column("n", kBigint)});
};

TEST_F(KeyChoiceTest, named_key_is_taken) {
  EXPECT_EQ(choose("n").key, "n");
  EXPECT_TRUE(choose("n").can_resume);
  EXPECT_EQ(choose("ctid").key, "ctid");
  EXPECT_FALSE(choose("ctid").can_resume);
}

TEST_F(KeyChoiceTest, range_needs_a_unique_key) {
  EXPECT_SQLSTATE("22023", choose({}, false));
  source.unique_key = "id";
  source.known_correlation = "0";
  EXPECT_EQ(choose({}, false).key, "id");
}

TEST_F(KeyChoiceTest, unique_key_is_taken_when_rows_lie_in_its_order) {
  source.unique_key = "id";
  source.known_correlation = "900";
  EXPECT_EQ(choose().key, "id");
  EXPECT_TRUE(choose().can_resume);
  source.known_correlation = "899";
  EXPECT_EQ(choose().key, "ctid");
  EXPECT_FALSE(choose().can_resume);
}

TEST_F(KeyChoiceTest, some_blocks_tell_the_order_of_a_table_never_analysed) {
  source.unique_key = "id";
  source.sampled_correlation = "1000";
  EXPECT_EQ(choose().key, "id");
  source.sampled_correlation = "100";
  EXPECT_EQ(choose().key, "ctid");
  source.sampled_correlation = std::nullopt; // no rows
  EXPECT_EQ(choose().key, "id");
}

TEST_F(KeyChoiceTest, without_a_unique_key_blocks_are_cut) {
  EXPECT_EQ(choose().key, "ctid");
}

TEST_F(KeyChoiceTest, where_ctid_has_no_ranges_the_unique_key_is_taken) {
  source.version = "130000";
  source.known_correlation = "0";
  EXPECT_EQ(choose().key, "");
  EXPECT_NE(choose().reason.find("version 14"), std::string::npos);
  source.unique_key = "id";
  EXPECT_EQ(choose().key, "id");
}

TEST_F(KeyChoiceTest, view_is_one_piece) {
  table.kind = 'v';
  source.leaves.clear();
  EXPECT_EQ(choose().key, "");
}

TEST_F(KeyChoiceTest, largest_leaf_decides_for_a_partitioned_table) {
  table.kind = 'p';
  source.add_leaf("large", 5000);
  source.unique_key = "id";
  source.sampled_correlation = "0";
  EXPECT_EQ(choose().key, "ctid");
  EXPECT_NE(source.asked("pg_catalog.corr(").find("\"public\".\"large\""), std::string::npos);
}

} // namespace
} // namespace parallel_loader
