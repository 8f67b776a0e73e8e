// text_test: numbers and names in the columns of a terminal.
#include "orchestrator/base/text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace parallel_loader {
namespace {

using std::chrono::milliseconds;

TEST(Text, counts_columns_not_bytes) {
  EXPECT_EQ(text_width("━╸─"), 3U);
  EXPECT_EQ(text_width(""), 0U);
  EXPECT_EQ(text_width("注文.orders"), 11U);     // wide
  EXPECT_EQ(text_width("e\u0301te\u0301"), 3U);  // combining
  EXPECT_EQ(text_width("\xE4\xFF\xE6\xB3"), 4U); // no UTF-8
}

TEST(Text, cuts_names_in_the_middle_between_code_points) {
  EXPECT_EQ(fit_text("sales.orders", 12), "sales.orders");
  EXPECT_EQ(fit_text("sales.orders", 10), "sale..ders");
  EXPECT_EQ(fit_text("größe.größen", 7), "grö..en");
  EXPECT_EQ(fit_text("sales.orders", 2), "..");
  EXPECT_EQ(fit_text("sales.orders", 0), "");
}

TEST(Text, cuts_neither_through_wide_characters_nor_before_combining_ones) {
  EXPECT_EQ(fit_text("注文明細", 8), "注文明細");
  EXPECT_EQ(fit_text("注文明細", 7), "注..細"); // one column stays empty
  EXPECT_EQ(fit_text("注文明細", 6), "注..細");
  EXPECT_EQ(fit_text("注文明細", 5), "注..");
  EXPECT_EQ(fit_text("ae\u0301iioue\u0301", 6), "ae\u0301..ue\u0301");
  for (size_t width = 0; width < 12; ++width)
    EXPECT_LE(text_width(fit_text("a注文e\u0301明細\xFFz", width)), width);
}

TEST(Text, pads_by_columns) {
  EXPECT_EQ(pad_left("ä", 3), "  ä");
  EXPECT_EQ(pad_right("ä", 3), "ä  ");
  EXPECT_EQ(pad_left("long", 2), "long");
}

TEST(Text, hides_control_characters) {
  EXPECT_EQ(printable("a\nb\033[2Jc\177"), "a?b?[2Jc?");
  EXPECT_EQ(printable("a\u009B2J"), "a?2J");                 // CSI in one character
  EXPECT_EQ(printable("a\u202Eb\u2066c\u2028d"), "a?b?c?d"); // other directions, another line
  EXPECT_EQ(printable("\xE4\xC0\x80ü注"), "???ü注");
}

TEST(Text, groups_thousands_with_spaces) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1 000");
  EXPECT_EQ(format_count(412004118), "412 004 118");
  EXPECT_EQ(format_count(-1000), "-1 000");
  EXPECT_EQ(format_count(std::numeric_limits<int64_t>::max()), "9 223 372 036 854 775 807");
}

TEST(Text, puts_nouns_into_the_plural) {
  EXPECT_EQ(format_number_of(1, "chunk"), "1 chunk");
  EXPECT_EQ(format_number_of(0, "chunk"), "0 chunks");
  EXPECT_EQ(format_number_of(1024, "job"), "1 024 jobs");
}

TEST(Text, writes_sizes_in_the_largest_unit_that_fits) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(999), "999 B");
  EXPECT_EQ(format_size(1000), "1.0 kB");
  EXPECT_EQ(format_size(1024), "1.0 kB");
  EXPECT_EQ(format_size(1023 * 1024), "1.0 MB");
  EXPECT_EQ(format_size(751LL << 20), "751.0 MB");
  EXPECT_EQ(format_size(std::numeric_limits<int64_t>::max()), "8192.0 PB");
}

TEST(Text, writes_a_part_in_the_unit_of_the_whole) {
  EXPECT_EQ(format_size_of(71LL << 30, 111LL << 30), "71 / 111 GB");
  EXPECT_EQ(format_size_of(700LL << 20, 1434LL << 20), "0.7 / 1.4 GB");
  EXPECT_EQ(format_size_of(0, 0), "0 / 0 B");
}

TEST(Text, writes_rates) {
  EXPECT_EQ(format_rate(0), "-");
  EXPECT_EQ(format_rate(412.0 * 1024 * 1024), "412 MB/s");
  EXPECT_EQ(format_rate(8.4 * 1024 * 1024), "8.4 MB/s");
  EXPECT_EQ(format_rate(12), "12 B/s");
}

TEST(Text, writes_durations_with_two_units_at_most) {
  EXPECT_EQ(format_duration(milliseconds(0)), "0.0s");
  EXPECT_EQ(format_duration(milliseconds(449)), "0.4s");
  EXPECT_EQ(format_duration(milliseconds(9949)), "9.9s");
  EXPECT_EQ(format_duration(milliseconds(9950)), "10s");
  EXPECT_EQ(format_duration(milliseconds(59499)), "59s");
  EXPECT_EQ(format_duration(milliseconds(59500)), "1m00s");
  EXPECT_EQ(format_duration(std::chrono::seconds(99)), "1m39s");
  EXPECT_EQ(format_duration(std::chrono::minutes(125)), "2h05m");
  EXPECT_EQ(format_duration(std::chrono::hours(76)), "3d04h");
}

} // namespace
} // namespace parallel_loader
