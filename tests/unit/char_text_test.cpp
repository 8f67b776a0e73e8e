// char_text_test: which "char" values in rows of text are found.
#include "core/source/char_text.hpp"

#include "tests/unit/expect_error.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

CharText second_and_fourth(CharFlaw flaw) {
  CharText chars(flaw);
  chars.add(1, "b");
  chars.add(3, "d");
  return chars;
}

TEST(CharText, flaw_follows_from_versions_and_encodings) {
  const ServerInfo old_utf8{140023, "UTF8"};
  const ServerInfo old_latin{120000, "LATIN1"};
  const ServerInfo old_bytes{140000, "SQL_ASCII"};
  const ServerInfo new_utf8{150000, "UTF8"};
  const ServerInfo new_latin{180000, "LATIN1"};
  EXPECT_EQ(find_char_flaw(new_utf8, old_utf8), CharFlaw::kEscape);
  EXPECT_EQ(find_char_flaw(new_latin, old_bytes), CharFlaw::kEscape);
  EXPECT_EQ(find_char_flaw(new_latin, new_utf8), CharFlaw::kNone);
  EXPECT_EQ(find_char_flaw(old_utf8, new_utf8), CharFlaw::kNone); // no text of it is UTF-8
  EXPECT_EQ(find_char_flaw(old_latin, old_utf8), CharFlaw::kConverted);
  EXPECT_EQ(find_char_flaw(old_latin, new_utf8), CharFlaw::kConverted);
  EXPECT_EQ(find_char_flaw(old_latin, new_latin), CharFlaw::kNone);
  EXPECT_EQ(find_char_flaw(old_latin, old_bytes), CharFlaw::kNone);
  EXPECT_EQ(find_char_flaw(old_bytes, old_utf8), CharFlaw::kNone);
}

TEST(CharText, ascii_is_readable) {
  const CharText escapes = second_and_fourth(CharFlaw::kEscape);
  for (const std::string_view row :
       {"a\tb\tc\td\n", "\t\t\t\n", "\\N\t\\N\t\\N\t\\N\n", "\\\\351\t\\\\\t\\\\351\t\\n\n",
        "x\t\\t\tx\t\\\\\n", "x\t{\"\\\\\\\\\",a}\tx\t{}\n", "x\t\\\\177\tx\t\\\\400\n"})
    EXPECT_NO_THROW(escapes.require_readable(row, 1)) << row;
  const CharText bytes = second_and_fourth(CharFlaw::kConverted);
  EXPECT_NO_THROW(bytes.require_readable("\xc3\xa9\tb\t\xc3\xa9\td\n", 1));
}

TEST(CharText, other_characters_are_not) {
  const CharText escapes = second_and_fourth(CharFlaw::kEscape);
  for (const std::string_view row :
       {"a\t\\\\351\tc\td\n", "a\tb\tc\t\\\\200\n", "a\tb\tc\t\\\\377\n",
        "a\t{a,\"\\\\\\\\303\"}\tc\td\n", "a\tb\tc\t(x,\"\\\\\\\\\\\\\\\\240\")\n"})
    EXPECT_SQLSTATE("0A000", escapes.require_readable(row, 1)) << row;
  const CharText bytes = second_and_fourth(CharFlaw::kConverted);
  EXPECT_SQLSTATE("0A000", bytes.require_readable("a\t\xc3\xa9\tc\td\n", 1));
  EXPECT_SQLSTATE("0A000", bytes.require_readable("a\tb\tc\t\xe9\n", 1));
}

TEST(CharText, error_names_the_column_and_the_row) {
  const Error error = catch_error(
      [] { second_and_fourth(CharFlaw::kEscape).require_readable("a\tb\tc\t\\\\351\n", 7); });
  EXPECT_NE(error.message().find("column \"d\""), std::string::npos);
  EXPECT_NE(error.detail().find("Row 7"), std::string::npos);
}

TEST(CharText, rows_with_too_few_fields_are_read_to_their_end) {
  const CharText chars = second_and_fourth(CharFlaw::kEscape);
  for (const std::string_view row : {"\n", "a\n", "a\tb\n", "a\t\n", ""})
    EXPECT_NO_THROW(chars.require_readable(row, 1));
}

} // namespace
} // namespace parallel_loader
