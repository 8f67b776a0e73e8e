// numeric_field_test: decimal numbers in the form in which numeric is stored.
#include "core/tuple/numeric_field.hpp"

#include "tests/unit/tuple_fixture.hpp"

#include <gtest/gtest.h>

#include <array>

namespace parallel_loader {
namespace {

using namespace testing;

std::string stored(std::string_view text) {
  std::array<char, 128> bytes{};
  return {bytes.data(), store_decimal(bytes.data(), text)};
}

// A NumericShort: bits 10, sign, 6 bits of scale, 7 bits of weight, and groups of four digits.
std::string number(const std::vector<uint16_t> &groups, int weight, unsigned scale,
                   bool is_negative = false) {
  std::string out = native(static_cast<uint16_t>(0x8000 | (is_negative ? 0x2000 : 0) | scale << 7 |
                                                 (static_cast<unsigned>(weight) & 0x7F)));
  for (const uint16_t group : groups)
    out += native(group);
  return out;
}

TEST(StoreDecimal, writes_groups_around_the_point) {
  EXPECT_EQ(stored("7"), number({7}, 0, 0));
  EXPECT_EQ(stored("-12"), number({12}, 0, 0, true));
  EXPECT_EQ(stored("12345"), number({1, 2345}, 1, 0));
  EXPECT_EQ(stored("12.5"), number({12, 5000}, 0, 1));
  EXPECT_EQ(stored("12345678.87654321"), number({1234, 5678, 8765, 4321}, 1, 8));
  EXPECT_EQ(stored("1.23456"), number({1, 2345, 6000}, 0, 5));
}

TEST(StoreDecimal, leaves_out_zeros_at_both_ends) {
  EXPECT_EQ(stored("10000"), number({1}, 1, 0));
  EXPECT_EQ(stored("100000000"), number({1}, 2, 0));
  EXPECT_EQ(stored("10000.0000"), number({1}, 1, 4));
  EXPECT_EQ(stored("10001.5"), number({1, 1, 5000}, 1, 1));
  EXPECT_EQ(stored("0.5"), number({5000}, -1, 1));
  EXPECT_EQ(stored("0.00001"), number({1000}, -2, 5));
  EXPECT_EQ(stored("0.000000012"), number({1, 2000}, -2, 9));
  EXPECT_EQ(stored("-0.0001000"), number({1}, -1, 7, true));
}

TEST(StoreDecimal, has_one_zero_but_for_the_scale) {
  EXPECT_EQ(stored("0"), number({}, 0, 0));
  EXPECT_EQ(stored("-0"), number({}, 0, 0));
  EXPECT_EQ(stored("0.00"), number({}, 0, 2));
  EXPECT_EQ(stored("-0.00000"), number({}, 0, 5));
}

// What a number becomes must not depend on whether it comes as text or in binary COPY.
TEST(StoreDecimal, agrees_with_the_binary_field) {
  const std::string binary = big_endian(3, 2) + big_endian(1, 2) + big_endian(0x4000, 2) +
                             big_endian(3, 2) + big_endian(12, 2) + big_endian(3456, 2) +
                             big_endian(7890, 2);
  const NumericField field = NumericField::read(binary.data());
  ASSERT_TRUE(field.is_stored_unchanged(binary, {}));
  std::array<char, 64> bytes{};
  ASSERT_TRUE(field.store_field(bytes.data(), binary));
  EXPECT_EQ(stored("-123456.789"), std::string(bytes.data(), field.stored_bytes()));
}

} // namespace
} // namespace parallel_loader
