// resolve_range_test: how the source is asked to read the caller's bounds.
#include "core/plan/range.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_executor.hpp"
#include "tests/unit/sample_catalog.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

class FailingExecutor final : public Executor {
public:
  explicit FailingExecutor(Error error) : error_(std::move(error)) {}
  Rows exec(std::string_view, std::span<const Param>) override { throw error_; }

private:
  Error error_;
};

class ResolveRangeTest : public ::testing::Test {
protected:
  std::string question(std::string_view key_name, const Bound &start) {
    const Key key = Key::resolve(key_name, table, types, start.type);
    source.calls.clear();
    source.answers = {one_row({"x"})};
    EXPECT_EQ(resolve_range(source, key, start, std::nullopt).range.start, "x");
    return source.calls.at(0).sql;
  }

  bool asks(std::string_view key, const Bound &bound, std::string_view expression) {
    return question(key, bound).find(" " + std::string(expression) + " AS c0") !=
               std::string::npos ||
           question(key, bound).find("(SELECT " + std::string(expression) + " AS c0") !=
               std::string::npos;
  }

  FakeExecutor source;
  Types types = builtin_types();
  SourceTable table = source_table(
      {column("id", kInteger), column("n", kNumeric), column("d", kDate), column("x", kText)});
};

TEST_F(ResolveRangeTest, open_range_asks_nothing) {
  const ResolvedRange resolved = resolve_range(source, Key(), std::nullopt, std::nullopt);
  EXPECT_EQ(resolved.range, Range{});
  EXPECT_TRUE(source.calls.empty());
}

TEST_F(ResolveRangeTest, bounds_need_a_key) {
  EXPECT_SQLSTATE("22023", resolve_range(source, Key(), Bound{"1", ""}, std::nullopt));
}

TEST_F(ResolveRangeTest, text_is_read_as_the_keys_type) {
  EXPECT_TRUE(asks("id", {"5", ""}, "'5'::\"pg_catalog\".\"int8\""));
  EXPECT_TRUE(asks("id", {"5", "text"}, "'5'::\"pg_catalog\".\"int8\""));
  EXPECT_TRUE(asks("d", {"2024-01-01", "unknown"}, "'2024-01-01'::\"pg_catalog\".\"date\""));
}

TEST_F(ResolveRangeTest, fractions_on_integer_keys_are_rounded_up) {
  for (const char *type : {"numeric", "float4", "float8"})
    EXPECT_TRUE(
        asks("id", {"1.5", type},
             "pg_catalog.ceil('1.5'::\"pg_catalog\".\"numeric\")::\"pg_catalog\".\"int8\""));
}

TEST_F(ResolveRangeTest, other_types_are_read_first_and_then_cast) {
  EXPECT_TRUE(asks("x", {"5", "int4"}, "'5'::\"pg_catalog\".\"int4\"::\"pg_catalog\".\"text\""));
  EXPECT_TRUE(
      asks("d", {"2024-01-01", "timestamptz"}, "'2024-01-01'::\"pg_catalog\".\"timestamptz\""));
}

TEST_F(ResolveRangeTest, floats_on_numeric_keys_keep_their_digits) {
  EXPECT_TRUE(asks("n", {"0.12345678901234568", "float8"},
                   "'0.12345678901234568'::\"pg_catalog\".\"numeric\""));
}

TEST_F(ResolveRangeTest, equal_bounds_are_an_empty_range) {
  source.answers = {one_row({"5", "5", "f", "t"})};
  const Key key = Key::resolve("id", table, types, "");
  const ResolvedRange resolved = resolve_range(source, key, Bound{"5", ""}, Bound{"5", ""});
  EXPECT_TRUE(resolved.is_empty);
  EXPECT_EQ(resolved.range, (Range{"5", "5"}));
}

TEST_F(ResolveRangeTest, start_after_end_is_refused_with_both_values) {
  source.answers = {one_row({"9", "3", "t", "f"})};
  const Key key = Key::resolve("id", table, types, "");
  const Error error = catch_error([&] {
    (void)resolve_range(source, key, Bound{"9", ""}, Bound{"3", ""});
  });
  EXPECT_EQ(error.sqlstate(), "22023");
  EXPECT_EQ(error.detail(), "The start is \"9\", the end is \"3\".");
}

TEST_F(ResolveRangeTest, bounds_compare_under_the_columns_collation) {
  table.columns.back().collation = "\"pg_catalog\".\"C\"";
  source.answers = {one_row({"a", "b", "f", "f"})};
  const Key key = Key::resolve("x", table, types, "");
  (void)resolve_range(source, key, Bound{"a", ""}, Bound{"b", ""});
  EXPECT_NE(
      source.calls.at(0).sql.find("(s.c0 COLLATE \"pg_catalog\".\"C\") OPERATOR(pg_catalog.>) "
                                  "(e.c0 COLLATE \"pg_catalog\".\"C\")"),
      std::string::npos);
}

TEST_F(ResolveRangeTest, row_bounds_are_cast_field_by_field) {
  const std::string sql = question("(id, x)", {"(5,\"a b\")", ""});
  EXPECT_NE(sql.find("'5'::\"pg_catalog\".\"int8\" AS c0, 'a b'::\"pg_catalog\".\"text\" AS c1"),
            std::string::npos);
  EXPECT_NE(sql.find("ROW(s.c0, s.c1)::pg_catalog.text"), std::string::npos);
}

TEST_F(ResolveRangeTest, unreadable_bound_keeps_the_sources_sqlstate) {
  FailingExecutor failing(Error("22P02", "could not read from source: invalid input syntax"));
  const Key key = Key::resolve("id", table, types, "");
  const Error error = catch_error([&] {
    (void)resolve_range(failing, key, Bound{"abc", ""}, std::nullopt);
  });
  EXPECT_EQ(error.sqlstate(), "22P02");
  EXPECT_EQ(error.message(),
            "bounds of the range cannot be read as values of the key: invalid input syntax");
}

TEST_F(ResolveRangeTest, lost_connection_is_passed_on_as_it_is) {
  FailingExecutor failing(Error("08006", "connection to source was lost"));
  const Key key = Key::resolve("id", table, types, "");
  const Error error = catch_error([&] {
    (void)resolve_range(failing, key, Bound{"1", ""}, std::nullopt);
  });
  EXPECT_EQ(error.message(), "connection to source was lost");
}

} // namespace
} // namespace parallel_loader
