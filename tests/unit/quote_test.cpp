// quote_test: quoting of identifiers and literals, splitting of names.
#include "core/base/quote.hpp"

#include "tests/unit/expect_error.hpp"

namespace parallel_loader {
namespace {

using Names = std::vector<std::string>;

TEST(QuoteIdentifier, doubles_quotes_and_always_quotes) {
  EXPECT_EQ(quote_identifier("id"), "\"id\"");
  EXPECT_EQ(quote_identifier("a\"b\nc"), "\"a\"\"b\nc\"");
}

TEST(QuoteLiteral, doubles_quotes) {
  EXPECT_EQ(quote_literal("it's"), "'it''s'");
}

TEST(QuoteLiteral, uses_escape_form_for_backslashes_only) {
  EXPECT_EQ(quote_literal("a\\'b"), "E'a\\\\''b'");
  EXPECT_EQ(quote_literal(""), "''");
}

TEST(QualifiedName, quotes_every_part) {
  EXPECT_EQ((QualifiedName{"s", "T"}.quoted()), "\"s\".\"T\"");
  EXPECT_EQ((QualifiedName{"", "t"}.quoted()), "\"t\"");
}

TEST(QualifiedName, displays_quotes_only_where_needed) {
  EXPECT_EQ((QualifiedName{"public", "t_1$"}.display()), "public.t_1$");
  EXPECT_EQ((QualifiedName{"S", "1a"}.display()), "\"S\".\"1a\"");
  EXPECT_EQ((QualifiedName{"", "a b"}.display()), "\"a b\"");
}

TEST(QualifiedName, is_cited_in_one_pair_of_quotes) {
  EXPECT_EQ((QualifiedName{"public", "Order Head"}.cited()), "\"public.Order Head\"");
  EXPECT_EQ((QualifiedName{"", "t"}.cited()), "\"t\"");
}

TEST(QualifiedName, display_reads_back) {
  for (const QualifiedName &name : {QualifiedName{"public", "t"}, QualifiedName{"Sch\"ema", "a.b"},
                                    QualifiedName{"", "\xc3\xa9"}, QualifiedName{"x", "new\nline"}})
    EXPECT_EQ(parse_qualified_name(name.display()), name);
}

TEST(SplitIdentifier, folds_unquoted_parts_in_ascii_only) {
  EXPECT_EQ(split_identifier("Sch\xc3\x89.\"Tab.le\"", 2), (Names{"sch\xc3\x89", "Tab.le"}));
}

TEST(SplitIdentifier, allows_space_around_dots) {
  EXPECT_EQ(split_identifier("  a . \"b\"\"c\" ", 2), (Names{"a", "b\"c"}));
}

TEST(SplitIdentifier, rejects_what_is_no_name) {
  for (const char *text :
       {"", " ", ".", "a.", ".a", "a b", "\"\"", "\"a", "1a", "a.b.c", "a;b", "$a"})
    EXPECT_SQLSTATE("42601", split_identifier(text, 2)) << text;
}

TEST(ParseQualifiedName, leaves_schema_empty_without_one) {
  EXPECT_EQ(parse_qualified_name("t"), (QualifiedName{"", "t"}));
}

TEST(SplitIdentifierList, splits_at_commas_outside_quotes) {
  EXPECT_EQ(split_identifier_list("A, \"B, c\" ,d"), (Names{"a", "B, c", "d"}));
}

TEST(SplitIdentifierList, rejects_empty_places) {
  for (const char *text : {"", ",", "a,", ",a", "a,,b", "a b"})
    EXPECT_SQLSTATE("42601", split_identifier_list(text)) << text;
}

} // namespace
} // namespace parallel_loader
