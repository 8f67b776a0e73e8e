// executor_test: reading of result values, writing of array literals.
#include "core/connection/executor.hpp"

#include "tests/unit/expect_error.hpp"

#include <climits>

namespace parallel_loader {
namespace {

using testing::catch_error;

Rows row(std::vector<std::optional<std::string>> values) {
  const size_t count = values.size();
  return Rows(count, std::move(values));
}

TEST(Rows, reads_the_whole_span_of_bigint) {
  const Rows rows = row({"-9223372036854775808", "9223372036854775807", std::nullopt});
  EXPECT_EQ(rows.integer(0, 0), INT64_MIN);
  EXPECT_EQ(rows.integer(0, 1), INT64_MAX);
  EXPECT_EQ(rows.integer(0, 2), 0);
}

TEST(Rows, rejects_what_is_no_integer) {
  for (const char *text : {"", "1x", " 1", "1.0", "9223372036854775808"})
    EXPECT_SQLSTATE("08P01", row({text}).integer(0, 0)) << text;
}

TEST(Rows, place_that_is_not_there_breaks_the_protocol) {
  const Rows rows(2, {"a", "b"}, 0, "source");
  EXPECT_EQ(catch_error([&] { (void)rows.text(1, 0); }).message(),
            "answer of the source has no row 2");
  EXPECT_EQ(catch_error([&] { (void)rows.text(0, 2); }).message(),
            "answer of the source has no column 3");
  EXPECT_SQLSTATE("08P01", Rows().is_null(0, 0));
  EXPECT_SQLSTATE("08P01", rows.text(SIZE_MAX, SIZE_MAX));
}

TEST(Rows, required_values_are_there_and_of_their_kind) {
  const Rows rows = row({"16384", "t", "x", "", std::nullopt, "4294967296", "-1"});
  EXPECT_EQ(rows.oid(0, 0), 16384U);
  EXPECT_TRUE(rows.required_boolean(0, 1));
  EXPECT_EQ(rows.required_text(0, 2), "x");
  for (const size_t column : {2, 3, 4, 5, 6})
    EXPECT_SQLSTATE("08P01", rows.oid(0, column)) << column;
  for (const size_t column : {0, 2, 3, 4})
    EXPECT_SQLSTATE("08P01", rows.required_boolean(0, column)) << column;
  for (const size_t column : {3, 4})
    EXPECT_SQLSTATE("08P01", rows.required_text(0, column)) << column;
  EXPECT_EQ(rows.required_integer(0, 6), -1);
  EXPECT_SQLSTATE("08P01", rows.required_integer(0, 6, 0));
  EXPECT_SQLSTATE("08P01", rows.required_integer(0, 0, 0, 100));
}

TEST(Rows, count_of_rows_is_held_to) {
  EXPECT_NO_THROW(row({"1"}).require_size(1));
  EXPECT_SQLSTATE("08P01", row({"1"}).require_size(2));
  EXPECT_SQLSTATE("08P01", Rows().require_size(1));
}

TEST(Rows, long_values_are_cut_in_errors) {
  const Error error = catch_error([] { (void)row({std::string(100000, 'x')}).integer(0, 0); });
  EXPECT_LT(error.message().size(), 200U);
}

TEST(Rows, reads_booleans_of_both_spellings) {
  const Rows rows = row({"t", "true", "f", std::nullopt});
  EXPECT_TRUE(rows.boolean(0, 0));
  EXPECT_TRUE(rows.boolean(0, 1));
  EXPECT_FALSE(rows.boolean(0, 2));
  EXPECT_FALSE(rows.boolean(0, 3));
}

TEST(ArrayLiteral, quotes_every_value) {
  const std::vector<std::string> values{"a", "", "NULL", "b\"c\\d", "x,{y}"};
  EXPECT_EQ(array_literal(values), R"({"a","","NULL","b\"c\\d","x,{y}"})");
  EXPECT_EQ(array_literal(std::vector<std::string>{}), "{}");
}

TEST(ArrayLiteral, tells_null_from_the_word) {
  const std::vector<std::optional<std::string>> values{std::nullopt, "NULL"};
  EXPECT_EQ(array_literal(values), R"({NULL,"NULL"})");
}

} // namespace
} // namespace parallel_loader
