// record_literal_test: row values in the server's own syntax.
#include "core/base/record_literal.hpp"

#include "tests/unit/expect_error.hpp"

#include <random>

namespace parallel_loader {
namespace {

using Fields = std::vector<std::string>;

TEST(ParseRecord, reads_plain_and_quoted_fields) {
  EXPECT_EQ(parse_record(R"((1,"x ""y"" \\z",abc))", 3), (Fields{"1", R"(x "y" \z)", "abc"}));
}

TEST(ParseRecord, keeps_space_inside_but_not_around) {
  EXPECT_EQ(parse_record(" ( a ,b) ", 2), (Fields{" a ", "b"}));
}

TEST(ParseRecord, reads_commas_and_parentheses_in_quotes) {
  EXPECT_EQ(parse_record(R"x(("a,b)",c\,d))x", 2), (Fields{"a,b)", "c,d"}));
}

TEST(ParseRecord, reads_quotes_that_begin_inside_a_field) {
  EXPECT_EQ(parse_record(R"((a"b,c"d,e))", 2), (Fields{"ab,cd", "e"}));
}

TEST(ParseRecord, takes_quoted_nothing_as_an_empty_string) {
  EXPECT_EQ(parse_record(R"((1,""))", 2), (Fields{"1", ""}));
}

TEST(ParseRecord, rejects_nulls) {
  for (const char *text : {"(1,)", "(,1)", "(,)"})
    EXPECT_SQLSTATE("22023", parse_record(text, 2)) << text;
}

TEST(ParseRecord, rejects_another_number_of_fields) {
  EXPECT_SQLSTATE("22023", parse_record("(1,2,3)", 2));
  EXPECT_SQLSTATE("22023", parse_record("(1)", 2));
}

TEST(ParseRecord, rejects_what_is_no_record) {
  for (const char *text : {"", "1,2", "(1,2", "(1,\"2)", "(1,2)x", "(1,2\\"})
    EXPECT_SQLSTATE("22023", parse_record(text, 2)) << text;
}

TEST(ParseRecord, any_text_is_a_record_or_an_error) {
  constexpr std::string_view kLetters = "(),\"\\ a\xff\n";
  std::minstd_rand random(1); // the same each time
  for (int round = 0; round < 20000; ++round) {
    std::string text = round % 2 == 0 ? "(" : "";
    for (size_t size = random() % 12; size > 0; --size)
      text += kLetters[random() % kLetters.size()];
    if (round % 3 == 0)
      text += ')';
    try {
      EXPECT_EQ(parse_record(text, 2).size(), 2U) << text;
    } catch (const Error &error) {
      EXPECT_EQ(error.sqlstate(), "22023") << text;
    }
  }
}

} // namespace
} // namespace parallel_loader
