// row_match_test: which local types hold every key of the source, and how rows are compared.
#include "core/plan/row_match.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_executor.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

KeyType type(uint32_t oid, int32_t modifier = -1) {
  return {oid, "pg_catalog", "t" + std::to_string(oid), modifier, {}};
}

int32_t numeric_modifier(int32_t precision, int32_t scale) {
  return ((precision << 16) | (scale & 0x7ff)) + 4;
}

TEST(RowMatch, same_type_without_limit_merges_nothing) {
  for (const uint32_t oid : {20U, 25U, 1043U, 1114U, 1700U, 2950U})
    EXPECT_FALSE(may_merge_values(type(oid, 7), type(oid))) << oid;
}

TEST(RowMatch, smaller_scale_merges_values) {
  EXPECT_TRUE(may_merge_values(type(1700), type(1700, numeric_modifier(10, 0))));
  EXPECT_TRUE(
      may_merge_values(type(1700, numeric_modifier(10, 2)), type(1700, numeric_modifier(10, 1))));
  EXPECT_FALSE(
      may_merge_values(type(1700, numeric_modifier(10, 1)), type(1700, numeric_modifier(10, 2))));
  EXPECT_TRUE(
      may_merge_values(type(1700, numeric_modifier(10, 0)), type(1700, numeric_modifier(10, -2))));
  EXPECT_FALSE(may_merge_values(type(20), type(1700, numeric_modifier(20, 0))));
  EXPECT_TRUE(may_merge_values(type(20), type(1700, numeric_modifier(20, -3))));
}

TEST(RowMatch, smaller_precision_of_times_merges_values) {
  EXPECT_TRUE(may_merge_values(type(1114), type(1114, 0)));
  EXPECT_FALSE(may_merge_values(type(1114), type(1114, 6)));
  EXPECT_FALSE(may_merge_values(type(1184, 3), type(1184, 4)));
}

TEST(RowMatch, texts_that_are_cut_merge) {
  EXPECT_TRUE(may_merge_values(type(1043), type(1043, 14)));
  EXPECT_TRUE(may_merge_values(type(25), type(1043, 14)));
  EXPECT_TRUE(may_merge_values(type(25), type(1042, 14)));
  EXPECT_FALSE(may_merge_values(type(1043, 14), type(1043, 15)));
  EXPECT_FALSE(may_merge_values(type(1042, 14), type(1043, 14)));
}

TEST(RowMatch, wider_types_merge_nothing) {
  EXPECT_FALSE(may_merge_values(type(21), type(20)));
  EXPECT_FALSE(may_merge_values(type(2950), type(25)));
  EXPECT_FALSE(may_merge_values(type(20), type(23))); // or refused
  EXPECT_FALSE(may_merge_values(type(1700), type(23)));
  EXPECT_TRUE(may_merge_values(type(20), type(701)));
  EXPECT_TRUE(may_merge_values(type(1114), type(1082)));
}

TEST(RowMatch, types_of_extensions_are_the_same_by_name) {
  const KeyType one = {20001, "tools", "seg", -1, {}};
  const KeyType same = {30001, "tools", "seg", -1, {}};
  const KeyType other = {30002, "tools", "cube", -1, {}};
  EXPECT_FALSE(may_merge_values(one, same));
  EXPECT_TRUE(may_merge_values(one, other));
}

TEST(RowMatch, columns_are_compared_by_their_own_operator) {
  const LocalKeyColumn number = {"id", type(20), true, "pg_catalog", "="};
  const LocalKeyColumn word = {"the word", type(25), true, "odd \"schema", "=="};
  EXPECT_EQ(row_match({number, word}),
            "d.\"id\" OPERATOR(\"pg_catalog\".=) s.\"id\" AND "
            "d.\"the word\" OPERATOR(\"odd \"\"schema\".==) s.\"the word\"");
}

TEST(RowMatch, texts_that_are_equal_and_differ_are_told_apart) {
  const LocalKeyColumn word = {"w", type(25), false, "pg_catalog", "="};
  EXPECT_EQ(row_match({word}),
            "d.\"w\" OPERATOR(\"pg_catalog\".=) s.\"w\" AND "
            "d.\"w\"::pg_catalog.text COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) "
            "s.\"w\"::pg_catalog.text COLLATE pg_catalog.\"C\"");
}

TEST(RowMatch, source_that_says_too_little_is_an_error) {
  FakeExecutor executor;
  executor.answers = {one_row({"20", "pg_catalog", "int8", "-1", "bigint"})};
  EXPECT_SQLSTATE("08P01", (void)load_key_types(executor, SourceTable(), {"a", "b"}));
}

} // namespace
} // namespace parallel_loader
