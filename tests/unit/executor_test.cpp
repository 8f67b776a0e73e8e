// executor_test: reading of result values, writing of array literals.
#include "core/executor.hpp"

#include "tests/unit/expect_error.hpp"

#include <climits>

namespace parallel_loader {
namespace {

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
    EXPECT_SQLSTATE("XX000", row({text}).integer(0, 0)) << text;
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
