// column_shape_test: shapes as text, what makes two of them differ, and how the source is asked.
#include "core/source/column_shape.hpp"

#include "tests/unit/sample_catalog.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

ShapeLine line(const std::string &name, const std::string &place, const std::string &type) {
  return {.part = ShapePart::kColumn,
          .name = name,
          .place = place,
          .type = type,
          .words = "type " + type};
}

TEST(ColumnShape, text_is_read_back_whatever_stands_in_a_name) {
  const Shape shape = {line("a\tb\n\\c", "1", "23"), line("", "2", "1700/655366")};
  EXPECT_EQ(read_shape(write_shape(shape)), shape);
  EXPECT_TRUE(read_shape("").empty());
}

TEST(ColumnShape, another_type_or_modifier_is_a_change) {
  const Shape planned = {line("a", "1", "23"), line("b", "2", "1043/14")};
  EXPECT_FALSE(find_shape_change(planned, planned, "c", PlaceRule::kCompared));
  const auto change = find_shape_change(planned, {planned[0], line("b", "2", "1043/24")}, "c",
                                        PlaceRule::kCompared);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->name, "b");
  EXPECT_EQ(change->sentence(), "It had type 1043/14, now it has type 1043/24.");
}

TEST(ColumnShape, column_dropped_and_added_again_is_another_one) {
  const Shape planned = {line("a", "1", "23")};
  const Shape now = {line("a", "3", "23")};
  EXPECT_EQ(find_shape_change(planned, now, "c", PlaceRule::kCompared)->sentence(),
            "It was dropped and added again.");
  EXPECT_FALSE(find_shape_change(planned, now, "c", PlaceRule::kIgnored));
}

TEST(ColumnShape, of_what_a_filter_reads_all_that_was_planned_is_compared_and_no_more) {
  const ShapeLine table{ShapePart::kFilterRelation, "16384", "r:7", "16384", "flt"};
  const ShapeLine other{ShapePart::kFilterRelation, "16390", "r:8", "16390", "settings"};
  EXPECT_FALSE(find_filter_change({table}, {table, other}));
  EXPECT_FALSE(find_filter_change({line("a", "1", "23")}, {table})); // of an earlier version
  EXPECT_EQ(find_filter_change({table, other}, {table})->before, "settings");
  ShapeLine rewritten = table;
  rewritten.type = "16400";
  EXPECT_EQ(find_filter_change({table}, {rewritten})->after, "flt");
}

TEST(ColumnShape, column_that_is_gone_or_new_is_a_change) {
  const Shape planned = {line("a", "1", "23")};
  EXPECT_EQ(find_shape_change(planned, {}, "c", PlaceRule::kCompared)->name, "a");
  EXPECT_EQ(find_shape_change({}, planned, "c", PlaceRule::kCompared)->name, "a");
}

TEST(ColumnShape, parts_that_are_not_asked_for_do_not_count) {
  Shape now = {line("a", "1", "23")};
  const Shape planned = now;
  now.push_back({.part = ShapePart::kExtension,
                 .name = "hstore",
                 .place = {},
                 .type = "1.8",
                 .words = "1.8"});
  EXPECT_FALSE(find_shape_change(planned, now, "cf", PlaceRule::kCompared));
  EXPECT_TRUE(find_shape_change(planned, now, "ce", PlaceRule::kCompared));
}

class SourceShapeTest : public ::testing::Test {
protected:
  SourceShapeTest() {
    TypeInfo pair = user_type(kUserBase, "pair", TypeKind::kComposite);
    pair.fields = {{"x", kInteger}, {"y", kText}};
    types.add(pair);
    types.add(user_type(kUserBase + 1, "_pair", TypeKind::kArray, kUserBase));
  }

  Types types = builtin_types();
};

TEST_F(SourceShapeTest, plain_columns_are_asked_for_by_name) {
  const SourceTable table = source_table({column("a", kInteger), column("b", kText)});
  const SourceShape shape(table, types, {"b", "a"});
  EXPECT_EQ(shape.statement("ONLY t"), "SELECT \"b\", \"a\" FROM ONLY t");
  EXPECT_FALSE(shape.has_fields());
  EXPECT_EQ(SourceShape(table, types, {}).statement("t"), "SELECT FROM t");
}

TEST_F(SourceShapeTest, fields_are_asked_for_through_the_column) {
  const SourceTable table = source_table({column("ps", kUserBase + 1)});
  const SourceShape shape(table, types, {"ps"});
  EXPECT_TRUE(shape.has_fields());
  EXPECT_EQ(shape.statement("ONLY t"),
            "SELECT \"ps\", 1 AS parallel_loader_fields, ((\"ps\")[1]).* FROM ONLY t");
  const std::vector<DescribedColumn> described = {
      {.name = "ps", .table = 16384, .number = 1, .type = kUserBase + 1},
      {.name = "parallel_loader_fields", .type = kInteger},
      {.name = "x", .type = kInteger},
      {.name = "y", .type = kText}};
  SourceTable numbered = table;
  numbered.columns[0].number = 1;
  EXPECT_FALSE(find_shape_change(shape.snapshot_lines(numbered, types),
                                 without_modifiers(shape.lines(described)), "cf",
                                 PlaceRule::kCompared));
}

TEST_F(SourceShapeTest, fields_in_another_order_are_a_change) {
  const SourceTable table = source_table({column("p", kUserBase)});
  const SourceShape shape(table, types, {"p"});
  const DescribedColumn itself = {.name = "p", .number = 0, .type = kUserBase};
  const DescribedColumn marker = {.name = "parallel_loader_fields", .type = kInteger};
  const DescribedColumn x = {.name = "x", .type = kInteger};
  const DescribedColumn y = {.name = "y", .type = kText};
  const Shape planned = shape.lines(std::vector{itself, marker, x, y});
  EXPECT_TRUE(find_shape_change(planned, shape.lines(std::vector{itself, marker, y, x}), "cf",
                                PlaceRule::kCompared));
  EXPECT_TRUE(find_shape_change(planned, shape.lines(std::vector{itself, marker, x}), "cf",
                                PlaceRule::kCompared));
}

} // namespace
} // namespace parallel_loader
