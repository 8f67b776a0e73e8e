// source_table_test: reading of the source's catalogue.
#include "core/source/source_table.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_executor.hpp"
#include "tests/unit/sample_catalog.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

Rows table_row(std::string kind, std::string enforces_not_null = "t") {
  return one_row(
      {"16384", "public", "t", std::move(kind), "f", "8192", std::move(enforces_not_null)});
}

TEST(SourceTable, missing_relation_is_42p01_with_a_hint) {
  FakeExecutor source;
  const Error error = catch_error([&] { (void)SourceTable::find(source, {"s", "T"}, {}); });
  EXPECT_EQ(error.sqlstate(), "42P01");
  EXPECT_EQ(error.message(), "relation \"s.T\" does not exist on the source");
  EXPECT_EQ(
      error.hint(),
      "Give the table's name on the source in source_table, with its schema if that is not in "
      "the search path of the source's role.");
}

TEST(SourceTable, relation_without_rows_is_42809) {
  for (const char *kind : {"S", "i", "I", "c", "t"}) {
    FakeExecutor source;
    source.answers = {table_row(kind)};
    EXPECT_SQLSTATE("42809", SourceTable::find(source, {"public", "t"}, {})) << kind;
  }
}

TEST(SourceTable, unqualified_name_is_searched_along_the_path) {
  FakeExecutor source;
  source.answers = {table_row("r")};
  const std::vector<std::string> path{"a", "b"};
  EXPECT_EQ(SourceTable::find(source, {"", "t"}, path).name, (QualifiedName{"public", "t"}));
  EXPECT_EQ(source.calls.at(0).params.at(0), "{\"a\",\"b\"}");
}

TEST(SourceTable, schema_given_is_the_only_one_searched) {
  FakeExecutor source;
  source.answers = {table_row("r")};
  const std::vector<std::string> path{"a", "b"};
  (void)SourceTable::find(source, {"s", "t"}, path);
  EXPECT_EQ(source.calls.at(0).params.at(0), "{\"s\"}");
}

TEST(SourceTable, not_null_counts_only_where_it_is_enforced) {
  for (const char *is_enforced : {"t", "f"}) {
    FakeExecutor source;
    source.answers = {table_row("r", is_enforced),
                      one_row({"id", "23", "t", std::nullopt, std::nullopt, "1"})};
    const SourceTable table = SourceTable::find(source, {"public", "t"}, {});
    EXPECT_EQ(table.columns.at(0).is_not_null, std::string_view(is_enforced) == "t");
  }
}

TEST(SourceTable, collation_is_quoted_and_qualified) {
  FakeExecutor source;
  source.answers = {table_row("r"), one_row({"x", "25", "f", "pg_catalog", "C", "1"})};
  EXPECT_EQ(SourceTable::find(source, {"public", "t"}, {}).columns.at(0).collation,
            "\"pg_catalog\".\"C\"");
}

TEST(SourceTable, table_is_read_without_its_children) {
  SourceTable table = source_table({});
  EXPECT_EQ(table.from_item(), "ONLY \"public\".\"t\"");
  table.kind = 'v';
  EXPECT_EQ(table.from_item(), "\"public\".\"t\"");
}

TEST(FindDefaultKey, takes_the_first_candidate_that_is_not_null) {
  FakeExecutor source;
  source.answers = {Rows(1, {"n", "id"})};
  const SourceTable table = source_table({column("n", kInteger), column("id", kInteger, true)});
  EXPECT_EQ(find_default_key(source, table), "id");
}

TEST(FindDefaultKey, finds_none_where_there_is_none) {
  FakeExecutor source;
  EXPECT_EQ(find_default_key(source, source_table({})), std::nullopt);
}

TEST(FindRowKeys, take_unique_indexes_over_columns_that_are_not_null) {
  FakeExecutor source;
  source.answers = {Rows(2, {"1", "id", "2", "a", "2", "b", "3", "n", "4", std::nullopt})};
  const SourceTable table = source_table({column("id", kInteger, true), column("a", kInteger, true),
                                          column("b", kInteger, true), column("n", kInteger)});
  EXPECT_EQ(find_row_keys(source, table),
            (std::vector<std::vector<std::string>>{{"id"}, {"a", "b"}}));
}

} // namespace
} // namespace parallel_loader
