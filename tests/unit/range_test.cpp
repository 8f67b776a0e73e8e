// range_test: keys as callers name them, and the conditions of their ranges.
#include "core/plan/range.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/sample_catalog.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

class KeyTest : public ::testing::Test {
protected:
  KeyTest() {
    types.add(user_type(kUserBase, "small", TypeKind::kDomain, kSmallint));
    types.add(user_type(kUserBase + 1, "smaller", TypeKind::kDomain, kUserBase));
    TypeInfo citext = user_type(kUserBase + 2, "citext", TypeKind::kBase);
    citext.operators = {"OPERATOR(ext.<)", "OPERATOR(ext.<=)", "OPERATOR(ext.=)",
                        "OPERATOR(ext.>=)", "OPERATOR(ext.>)"};
    types.add(citext);
    table = source_table({column("id", kInteger, true), column("n", kBigint), column("B c", kText),
                          column("ts", kTimestamptz), column("d", kDate, true),
                          column("dom", kUserBase + 1), column("ci", kUserBase + 2),
                          column("(odd", kText)});
  }

  Key resolve(std::string_view text, std::string_view bound_type = {}) const {
    return Key::resolve(text, table, types, bound_type);
  }

  Types types = builtin_types();
  SourceTable table;
};

TEST_F(KeyTest, empty_text_is_no_key) {
  EXPECT_TRUE(resolve("").is_none());
  EXPECT_EQ(resolve("").text(), "");
}

TEST_F(KeyTest, name_is_taken_exactly_as_it_is) {
  EXPECT_EQ(resolve("B c").columns().front().name, "B c");
  EXPECT_SQLSTATE("42703", resolve("b C"));
  EXPECT_SQLSTATE("42703", resolve("\"B c\""));
}

TEST_F(KeyTest, list_is_read_as_sql_identifiers) {
  const Key key = resolve("( ID, \"B c\" )");
  ASSERT_EQ(key.columns().size(), 2U);
  EXPECT_EQ(key.columns()[0].name, "id");
  EXPECT_EQ(key.columns()[1].name, "B c");
}

TEST_F(KeyTest, list_errors_have_their_own_codes) {
  EXPECT_SQLSTATE("42601", resolve("("));
  EXPECT_SQLSTATE("42601", resolve("(id"));
  EXPECT_SQLSTATE("42601", resolve("()"));
  EXPECT_SQLSTATE("42701", resolve("(id, id)"));
  EXPECT_SQLSTATE("42703", resolve("(id, nope)"));
}

TEST_F(KeyTest, text_reads_back_as_the_same_key) {
  for (const char *text : {"id", "B c", "ctid", "(id, \"B c\")", "(\"(odd\")"}) {
    const Key key = resolve(text);
    const Key again = resolve(key.text());
    const Range range{"(1,x)", std::nullopt};
    EXPECT_EQ(again.text(), key.text());
    EXPECT_EQ(again.condition(range), key.condition(range));
  }
}

TEST_F(KeyTest, integers_and_domains_over_them_compare_as_bigint) {
  for (const char *name : {"id", "n", "dom"}) {
    EXPECT_TRUE(resolve(name).is_integer()) << name;
    EXPECT_EQ(resolve(name).columns().front().bound_type, "\"pg_catalog\".\"int8\"");
  }
  EXPECT_FALSE(resolve("B c").is_integer());
  EXPECT_FALSE(resolve("(id, n)").is_integer());
}

TEST_F(KeyTest, dates_compare_in_the_type_of_the_bounds) {
  EXPECT_EQ(resolve("d").columns().front().bound_type, "\"pg_catalog\".\"date\"");
  EXPECT_EQ(resolve("d", "timestamptz").columns().front().bound_type,
            "\"pg_catalog\".\"timestamptz\"");
  EXPECT_EQ(resolve("ts", "\"pg_catalog\".\"date\"").columns().front().bound_type,
            "\"pg_catalog\".\"date\"");
  EXPECT_EQ(resolve("ts", "int4").columns().front().bound_type, "\"pg_catalog\".\"timestamptz\"");
  EXPECT_EQ(resolve("id", "timestamptz").columns().front().bound_type, "\"pg_catalog\".\"int8\"");
}

TEST_F(KeyTest, bounds_of_several_columns_keep_the_columns_types) {
  EXPECT_EQ(resolve("(d, id)", "timestamptz").columns().front().bound_type,
            "\"pg_catalog\".\"date\"");
}

TEST_F(KeyTest, ctid_is_a_key_of_tables_only) {
  EXPECT_TRUE(resolve("ctid").is_ctid());
  table.kind = 'v';
  EXPECT_SQLSTATE("42703", resolve("ctid"));
  table.columns.push_back(column("ctid", kText));
  EXPECT_FALSE(resolve("ctid").is_ctid());
}

TEST_F(KeyTest, condition_is_half_open) {
  EXPECT_EQ(resolve("id").condition({"1", "9"}),
            "\"id\" OPERATOR(pg_catalog.>=) '1'::\"pg_catalog\".\"int8\" AND \"id\" "
            "OPERATOR(pg_catalog.<) '9'::\"pg_catalog\".\"int8\"");
  EXPECT_EQ(resolve("B c").condition({std::nullopt, "it's"}),
            "\"B c\" OPERATOR(pg_catalog.<) 'it''s'::\"pg_catalog\".\"text\"");
}

TEST_F(KeyTest, open_range_is_the_whole_relation) {
  EXPECT_EQ(resolve("n").condition({}), "");
  EXPECT_EQ(resolve("(n, \"B c\")").condition({}), "");
  EXPECT_EQ(resolve("n").condition({.start = {}, .end = {}, .nulls = false, .not_null = true}),
            "\"n\" IS DISTINCT FROM NULL");
  EXPECT_EQ(resolve("n").condition({.start = {}, .end = {}, .nulls = true}),
            "(\"n\" IS NOT DISTINCT FROM NULL)");
  EXPECT_EQ(resolve("id").condition({}), "");
  EXPECT_EQ(resolve("ctid").condition({}), "");
}

TEST_F(KeyTest, row_ranges_leave_out_rows_with_any_null) {
  EXPECT_EQ(resolve("(id, \"B c\")").condition({"(1,\"a,b\")", std::nullopt}),
            "(\"id\", \"B c\") OPERATOR(pg_catalog.>=) ('1'::\"pg_catalog\".\"int8\", "
            "'a,b'::\"pg_catalog\".\"text\")"
            " AND \"B c\" IS DISTINCT FROM NULL");
  EXPECT_EQ(resolve("(n, \"B c\")").condition({.start = {}, .end = {}, .nulls = true}),
            "(\"n\" IS NOT DISTINCT FROM NULL OR \"B c\" IS NOT DISTINCT FROM NULL)");
  EXPECT_EQ(resolve("(id, d)").condition({}), "");
}

TEST_F(KeyTest, expressions_compare_as_the_columns_do) {
  EXPECT_EQ(resolve("id").compare({"k1"}, ">", "7"),
            "k1 OPERATOR(pg_catalog.>) '7'::\"pg_catalog\".\"int8\"");
  EXPECT_EQ(resolve("(id, \"B c\")").compare({"k1", "k2"}, "<", "(7,x)"),
            "(k1, k2) OPERATOR(pg_catalog.<) ('7'::\"pg_catalog\".\"int8\", "
            "'x'::\"pg_catalog\".\"text\")");
  EXPECT_EQ(resolve("ci").compare({"k1"}, ">", "a"), "k1 OPERATOR(ext.>) 'a'::\"s\".\"citext\"");
}

TEST_F(KeyTest, row_bound_with_another_number_of_fields_is_refused) {
  EXPECT_SQLSTATE("22023", resolve("(id, n)").condition({"(1)", std::nullopt}));
  EXPECT_SQLSTATE("22023", resolve("(id, n)").condition({"(1,)", std::nullopt}));
}

TEST_F(KeyTest, operators_outside_pg_catalog_are_named_with_their_schema) {
  EXPECT_EQ(resolve("ci").condition({"a", std::nullopt}),
            "\"ci\" OPERATOR(ext.>=) 'a'::\"s\".\"citext\"");
  EXPECT_SQLSTATE("0A000", resolve("(id, ci)"));
}

TEST_F(KeyTest, no_key_covers_the_whole_table_only) {
  EXPECT_EQ(Key().condition({}), "");
  EXPECT_SQLSTATE("22023", Key().condition({"1", std::nullopt}));
}

} // namespace
} // namespace parallel_loader
