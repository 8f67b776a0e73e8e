// table_pattern_test: patterns of tables and schemas, and lists of them.
#include "orchestrator/tables/table_pattern.hpp"

#include "orchestrator/base/failure.hpp"
#include "orchestrator/tables/table_list.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

std::string schema_of(std::string_view text) {
  return parse_table_pattern(text).schema.value_or("none");
}

std::string name_of(std::string_view text) {
  return parse_table_pattern(text).name;
}

TEST(TablePattern, IsToldFromANameByItsSigns) {
  EXPECT_TRUE(is_table_pattern("sales.*"));
  EXPECT_TRUE(is_table_pattern("s?les"));
  EXPECT_TRUE(is_table_pattern(R"("Odd"*)"));
  EXPECT_FALSE(is_table_pattern("sales.orders"));
  EXPECT_FALSE(is_table_pattern(R"("Odd*?")"));
  EXPECT_FALSE(is_table_pattern(R"("a""*")"));
}

TEST(TablePattern, ReadsSchemaAndName) {
  EXPECT_EQ(schema_of("sales.*"), "^(sales)$");
  EXPECT_EQ(name_of("sales.*"), "^(.*)$");
  EXPECT_EQ(schema_of("orders_*"), "none");
  EXPECT_EQ(name_of("orders_*"), "^(orders_.*)$");
  EXPECT_EQ(schema_of("*.*"), "^(.*)$");
}

TEST(TablePattern, FoldsWhatIsNotQuoted) {
  EXPECT_EQ(name_of("Orders*"), "^(orders.*)$");
  EXPECT_EQ(name_of(R"("Orders"*)"), "^(Orders.*)$");
  EXPECT_EQ(name_of("ORD?RS"), "^(ord.rs)$");
}

TEST(TablePattern, TakesQuotedCharactersAsThemselves) {
  EXPECT_EQ(name_of(R"("a.b*"*)"), R"(^(a\.b\*.*)$)");
  EXPECT_EQ(name_of(R"("say ""hi"""*)"), R"(^(say "hi".*)$)");
  EXPECT_EQ(name_of(R"("a\b[1]"?)"), R"(^(a\\b\[1\].)$)");
}

TEST(TablePattern, LeavesRegularExpressionsButForTheDollar) {
  EXPECT_EQ(name_of("t[0-9]*"), "^(t[0-9].*)$");
  EXPECT_EQ(name_of("pay$*"), R"(^(pay\$.*)$)");
}

TEST(TablePattern, RefusesWhatIsNone) {
  for (const std::string_view text : {"", "a.", ".*", "a.b.*", R"("open*)"})
    EXPECT_THROW(static_cast<void>(parse_table_pattern(text)), Failure) << text;
  EXPECT_THROW(static_cast<void>(parse_schema_pattern("a.b")), Failure);
  EXPECT_THROW(static_cast<void>(parse_schema_pattern("")), Failure);
}

TEST(TablePattern, ReadsSchemas) {
  EXPECT_EQ(parse_schema_pattern("Sales*"), "^(sales.*)$");
  EXPECT_EQ(parse_schema_pattern(R"("a.b")"), R"(^(a\.b)$)");
}

TEST(TableList, HasAnEntryALine) {
  const std::string text = "# what moves first\norders\n\n  sales.*  \r\na.t=b.u\n";
  EXPECT_EQ(parse_table_list(text, "list"),
            (std::vector<std::string>{"orders", "sales.*", "a.t=b.u"}));
}

TEST(TableList, KeepsLineEndsWithinNames) {
  EXPECT_EQ(parse_table_list("\"two\nlines\"\n\"a # b\"\n# \"not open\norders", "list"),
            (std::vector<std::string>{"\"two\nlines\"", "\"a # b\"", "orders"}));
}

TEST(TableList, MustCloseItsQuotes) {
  EXPECT_THROW(static_cast<void>(parse_table_list("orders\n\"open\n", "list")), Failure);
  EXPECT_THROW(static_cast<void>(read_table_list("/does/not/exist")), Failure);
}

} // namespace
} // namespace parallel_loader
