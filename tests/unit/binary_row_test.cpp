// binary_row_test: rows of a binary COPY stream, whole and broken.
#include "core/stream/binary_row.hpp"

#include "tests/unit/fake_server.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using testing::int16_bytes;
using testing::int32_bytes;

std::string field(std::string_view value) {
  return int32_bytes(static_cast<unsigned>(value.size())) + std::string(value);
}

const std::string_view kNull{"\377\377\377\377", 4};

std::string row_of_four() {
  return int16_bytes(4) + field("abcd") + std::string(kNull) + field("") + field("xy");
}

TEST(CheckBinaryRow, accepts_a_whole_row) {
  EXPECT_EQ(check_binary_row(row_of_four(), 4), "");
}

TEST(CheckBinaryRow, accepts_a_row_of_no_columns) {
  EXPECT_EQ(check_binary_row(int16_bytes(0), 0), "");
}

TEST(CheckBinaryRow, accepts_more_fields_than_a_signed_count_holds) {
  std::string row = int16_bytes(40000);
  for (int i = 0; i < 40000; ++i)
    row += kNull;
  EXPECT_EQ(check_binary_row(row, 40000), "");
}

TEST(CheckBinaryRow, rejects_another_number_of_fields) {
  EXPECT_NE(check_binary_row(row_of_four(), 3), "");
  EXPECT_NE(check_binary_row(row_of_four(), 5), "");
}

TEST(CheckBinaryRow, rejects_every_truncation) {
  const std::string row = row_of_four();
  for (size_t size = 0; size < row.size(); ++size)
    EXPECT_NE(check_binary_row(std::string_view(row).substr(0, size), 4), "") << size;
}

TEST(CheckBinaryRow, rejects_bytes_after_the_last_field) {
  EXPECT_NE(check_binary_row(row_of_four() + "x", 4), "");
}

TEST(CheckBinaryRow, rejects_negative_lengths_other_than_minus_one) {
  EXPECT_NE(check_binary_row(int16_bytes(1) + int32_bytes(0xFFFFFFFE), 1), "");
  EXPECT_NE(check_binary_row(int16_bytes(1) + int32_bytes(0x80000000), 1), "");
}

// A flipped byte is either inside a value, where the type's receive function looks, or it is found.
TEST(CheckBinaryRow, survives_every_flipped_byte) {
  const std::string row = row_of_four();
  const auto is_value = [](size_t at) { return (at >= 6 && at < 10) || at >= 22; };
  for (size_t at = 0; at < row.size(); ++at)
    for (int bits = 1; bits < 256; ++bits) {
      // A copy of exact size, so that AddressSanitizer sees a read past the end.
      std::vector<char> flipped(row.begin(), row.end());
      flipped[at] = static_cast<char>(flipped[at] ^ bits);
      const std::string flaw =
          check_binary_row(std::string_view(flipped.data(), flipped.size()), 4);
      EXPECT_EQ(flaw.empty(), is_value(at)) << at << " " << bits;
    }
}

} // namespace
} // namespace parallel_loader
