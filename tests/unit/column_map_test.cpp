// column_map_test: which columns travel and in what format.
#include "core/source/column_map.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/sample_catalog.hpp"

namespace parallel_loader {
namespace {

using namespace testing;
using Names = std::vector<std::string>;

class ColumnMapTest : public ::testing::Test {
protected:
  ColumnMap map(const std::optional<Names> &columns = std::nullopt,
                FormatChoice choice = FormatChoice::kAuto) const {
    return map_columns(source, types, destination, types, columns, choice);
  }

  Types types = builtin_types();
  SourceTable source = source_table({column("a", kInteger), column("b", kText)});
  DestinationTable destination{{"public", "t"},
                               {{"b", kText, false}, {"a", kInteger, false}, {"c", kText, false}}};
};

TEST_F(ColumnMapTest, default_is_every_source_column_in_source_order) {
  EXPECT_EQ(map().columns, (Names{"a", "b"}));
  EXPECT_EQ(map().format, Format::kBinary);
  EXPECT_EQ(map().format_reason, "");
}

TEST_F(ColumnMapTest, default_leaves_out_what_the_destination_generates) {
  destination.columns[0].is_generated = true;
  EXPECT_EQ(map().columns, Names{"a"});
}

TEST_F(ColumnMapTest, source_column_the_destination_lacks_is_42703) {
  source.columns.push_back(column("extra", kText));
  EXPECT_SQLSTATE("42703", map());
  EXPECT_EQ(map(Names{"b"}).columns, Names{"b"});
}

TEST_F(ColumnMapTest, named_columns_keep_their_order) {
  EXPECT_EQ(map(Names{"b", "a"}).columns, (Names{"b", "a"}));
}

TEST_F(ColumnMapTest, named_columns_are_checked) {
  destination.columns.push_back({"g", kText, true});
  source.columns.push_back(column("only_here", kText));
  source.columns.push_back(column("g", kText));
  EXPECT_SQLSTATE("42703", map(Names{"nope"}));
  EXPECT_SQLSTATE("42703", map(Names{"only_here"}));
  EXPECT_SQLSTATE("42703", map(Names{"c"}));
  EXPECT_SQLSTATE("42701", map(Names{"a", "b", "a"}));
  EXPECT_SQLSTATE("42P10", map(Names{"g"}));
}

TEST_F(ColumnMapTest, empty_list_cannot_be_expressed_where_there_are_columns) {
  EXPECT_SQLSTATE("0A000", map(Names{}));
  source.columns.clear();
  EXPECT_SQLSTATE("0A000", map());
  destination.columns = {{"g", kText, true}};
  EXPECT_TRUE(map().columns.empty());
}

TEST_F(ColumnMapTest, different_types_go_as_text_with_the_reason) {
  destination.columns[1].type = kBigint;
  EXPECT_EQ(map().format, Format::kText);
  EXPECT_EQ(map().format_reason,
            "column \"a\" has type int4 on the source, but int8 on the destination");
  EXPECT_SQLSTATE("0A000", map(std::nullopt, FormatChoice::kBinary));
  EXPECT_EQ(map(Names{"b"}, FormatChoice::kBinary).format, Format::kBinary);
}

TEST_F(ColumnMapTest, text_can_be_asked_for) {
  EXPECT_EQ(map(std::nullopt, FormatChoice::kText).format, Format::kText);
}

TEST_F(ColumnMapTest, any_destination_column_without_receive_function_forbids_binary) {
  types.add(user_type(kUserBase, "acl", TypeKind::kDomain, kAclitem));
  destination.columns[2].type = kUserBase;
  EXPECT_EQ(map(Names{"a"}).format, Format::kText);
  destination.columns[2].is_generated = true;
  EXPECT_SQLSTATE("0A000", map(Names{"a"}, FormatChoice::kBinary));
}

TEST_F(ColumnMapTest, chars_are_looked_for_in_text_between_servers_that_write_them_otherwise) {
  source.columns[1].type = destination.columns[0].type = kChar;
  const auto chars = [&](int source_version, int destination_version, FormatChoice choice) {
    return map_columns(source, builtin_types(source_version), destination,
                       builtin_types(destination_version), std::nullopt, choice)
        .chars;
  };
  EXPECT_EQ(chars(150000, 140000, FormatChoice::kText).columns(), Names{"b"});
  EXPECT_FALSE(chars(150000, 140000, FormatChoice::kText).empty());
  EXPECT_TRUE(chars(150000, 140000, FormatChoice::kAuto).empty());
  EXPECT_TRUE(chars(150000, 170000, FormatChoice::kText).empty());
  EXPECT_TRUE(chars(140000, 150000, FormatChoice::kText).empty());
  destination.columns[0].type = kText;
  EXPECT_TRUE(chars(150000, 140000, FormatChoice::kText).empty());
}

TEST_F(ColumnMapTest, chars_of_columns_that_are_gone_are_not_looked_for) {
  source.columns[1].type = destination.columns[0].type = kChar;
  const Types old = builtin_types(140000);
  const Types young = builtin_types(150000);
  EXPECT_TRUE(find_char_text(source, young, destination, old, {"gone"}).empty());
  EXPECT_EQ(find_char_text(source, young, destination, old, {"gone", "b"}).columns(), Names{"b"});
}

TEST_F(ColumnMapTest, composites_with_fields_in_another_order_are_refused_unless_text_is_named) {
  TypeInfo here = user_type(kUserBase, "pair", TypeKind::kComposite);
  here.fields = {{"x", kInteger}, {"y", kInteger}};
  TypeInfo there = here;
  std::swap(there.fields[0], there.fields[1]);
  Types source_types = builtin_types();
  Types destination_types = builtin_types();
  source_types.add(there);
  destination_types.add(here);
  source_types.add(user_type(kUserBase + 1, "pairs", TypeKind::kArray, kUserBase));
  destination_types.add(user_type(kUserBase + 1, "pairs", TypeKind::kArray, kUserBase));
  for (const TypeOid type : {kUserBase, kUserBase + 1}) {
    source = source_table({column("a", type)});
    destination.columns = {{"a", type, false}};
    const auto map_as = [&](FormatChoice choice) {
      return map_columns(source, source_types, destination, destination_types, std::nullopt,
                         choice);
    };
    EXPECT_SQLSTATE("42804", map_as(FormatChoice::kAuto));
    EXPECT_EQ(map_as(FormatChoice::kText).format, Format::kText);
  }
}

TEST_F(ColumnMapTest, copy_statement_quotes_and_joins_conditions) {
  source.columns[0].name = "A \"b";
  destination.columns[1].name = "A \"b";
  EXPECT_EQ(
      copy_statement(source.from_item(), map(), "", ""),
      "COPY (SELECT \"A \"\"b\", \"b\" FROM ONLY \"public\".\"t\") TO STDOUT (FORMAT binary)");
  EXPECT_EQ(
      copy_statement(source.from_item(), map(Names{"b"}, FormatChoice::kText), "x >= 1", "y -- z"),
      "COPY (SELECT \"b\" FROM ONLY \"public\".\"t\" WHERE x >= 1 AND (y -- z\n)) TO STDOUT "
      "(FORMAT text)");
  EXPECT_EQ(copy_statement(source.from_item(), map(Names{"b"}), "", "y"),
            "COPY (SELECT \"b\" FROM ONLY \"public\".\"t\" WHERE (y\n)) TO STDOUT (FORMAT binary)");
}

TEST_F(ColumnMapTest, statements_without_columns_are_sound) {
  source.columns.clear();
  destination.columns.clear();
  EXPECT_EQ(copy_statement(source.from_item(), map(), "", ""),
            "COPY (SELECT FROM ONLY \"public\".\"t\") TO STDOUT (FORMAT binary)");
  EXPECT_EQ(lock_statement(source, map()), "SELECT FROM ONLY \"public\".\"t\" LIMIT 0");
}

TEST(ParseFormat, reads_the_three_words_only) {
  EXPECT_EQ(parse_format("auto"), FormatChoice::kAuto);
  EXPECT_EQ(parse_format("text"), FormatChoice::kText);
  EXPECT_EQ(parse_format("binary"), FormatChoice::kBinary);
  EXPECT_SQLSTATE("22023", parse_format("csv"));
  EXPECT_SQLSTATE("22023", parse_format(""));
}

} // namespace
} // namespace parallel_loader
