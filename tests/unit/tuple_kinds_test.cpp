// tuple_kinds_test: which values of each kind go into a tuple directly, and which to the server.
#include "core/tuple/tuple_decoder.hpp"

#include "tests/unit/tuple_fixture.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace parallel_loader {
namespace {

using namespace testing;

// The bytes stored for a field that is written directly; "handed over" for any other.
std::string stored(TupleColumn column, std::string_view value,
                   TextEncoding encoding = TextEncoding::kUtf8) {
  Decoding it(in_order({kBoolColumn, column}), encoding);
  it.decode({field("\1"), field(value)});
  const WalkedTuple walked = it.walk();
  if (it.receiver.calls.empty())
    return walked.values.at(1).value();
  EXPECT_EQ(it.receiver.calls.size(), 1U);
  EXPECT_EQ(it.receiver.calls[0].column, 1U);
  EXPECT_EQ(it.receiver.calls[0].field, value);
  EXPECT_EQ(walked.values.at(1), column.length > 0
                                     ? std::string(static_cast<size_t>(column.length), 'r')
                                     : "<" + std::string(value) + ">");
  return "handed over";
}

const std::string kHandedOver = "handed over";

std::string wire(int64_t value, size_t bytes) {
  return big_endian(static_cast<uint64_t>(value), bytes);
}

TEST(TupleDecoderKinds, knows_built_in_types) {
  EXPECT_EQ(field_kind(16), FieldKind::kBool);
  EXPECT_EQ(field_kind(23), FieldKind::kSwap4);
  EXPECT_EQ(field_kind(20), FieldKind::kSwap8);
  EXPECT_EQ(field_kind(1184), FieldKind::kTimestamp);
  EXPECT_EQ(field_kind(2950), FieldKind::kFixed);
  EXPECT_EQ(field_kind(1700), FieldKind::kNumeric);
  EXPECT_EQ(field_kind(19), FieldKind::kOther);   // name: filled with NULs
  EXPECT_EQ(field_kind(1266), FieldKind::kOther); // timetz
  EXPECT_EQ(field_kind(3802), FieldKind::kJsonb);
  EXPECT_EQ(field_kind(869), FieldKind::kInet);
  EXPECT_EQ(field_kind(114), FieldKind::kOther); // json
  EXPECT_EQ(field_kind(0), FieldKind::kOther);
  EXPECT_EQ(field_kind(kFirstUserOid + 16), FieldKind::kOther);
}

// Family, bits of the netmask, a flag, length, address.
std::string address(unsigned family, unsigned bits, std::string_view bytes, unsigned flag = 0) {
  return big_endian(family, 1) + big_endian(bits, 1) + big_endian(flag, 1) +
         big_endian(bytes.size(), 1) + std::string(bytes);
}

TEST(TupleDecoderKinds, writes_inet_of_a_known_family_with_bits_of_its_length) {
  const TupleColumn inet = column_of(FieldKind::kInet, -1);
  const std::string six = "0123456789abcdef";
  EXPECT_EQ(stored(inet, address(2, 32, "abcd")), "\2 abcd");
  EXPECT_EQ(stored(inet, address(2, 8, "abcd", 1)), "\2\10abcd") << "nobody reads the flag";
  EXPECT_EQ(stored(inet, address(3, 128, six)), "\3\200" + six);
  EXPECT_EQ(stored(inet, address(2, 33, "abcd")), kHandedOver);
  EXPECT_EQ(stored(inet, address(3, 129, six)), kHandedOver);
  EXPECT_EQ(stored(inet, address(2, 32, six)), kHandedOver);
  EXPECT_EQ(stored(inet, address(3, 32, "abcd")), kHandedOver);
  EXPECT_EQ(stored(inet, address(1, 8, "abcd")), kHandedOver);
  EXPECT_EQ(stored(inet, address(2, 8, "")), kHandedOver);
  EXPECT_EQ(stored(inet, "\2\10"), kHandedOver);
  EXPECT_EQ(stored(inet, std::string("\2\10\0\5", 4) + "abcd"), kHandedOver);
}

TEST(TupleDecoderKinds, writes_cidr_without_bits_behind_its_netmask) {
  const TupleColumn cidr = column_of(FieldKind::kCidr, -1);
  EXPECT_EQ(stored(cidr, address(2, 32, "abcd", 1)), "\2 abcd");
  EXPECT_EQ(stored(cidr, address(2, 8, std::string("a\0\0\0", 4))), std::string("\2\10a\0\0\0", 6));
  EXPECT_EQ(stored(cidr, address(2, 8, std::string("a\0\0\1", 4))), kHandedOver);
  EXPECT_EQ(stored(cidr, address(2, 3, std::string("\340\0\0\0", 4))),
            std::string("\2\3\340\0\0\0", 6));
  EXPECT_EQ(stored(cidr, address(2, 3, std::string("\360\0\0\0", 4))), kHandedOver);
  EXPECT_EQ(stored(cidr, address(2, 0, std::string("\200\0\0\0", 4))), kHandedOver);
}

TEST(TupleDecoderKinds, writes_bool_of_one_byte_0_or_1) {
  EXPECT_EQ(stored(kBoolColumn, std::string(1, '\0')), std::string(1, '\0'));
  EXPECT_EQ(stored(kBoolColumn, "\1"), "\1");
  EXPECT_EQ(stored(kBoolColumn, "\2"), kHandedOver);
  EXPECT_EQ(stored(kBoolColumn, "\377"), kHandedOver);
  EXPECT_EQ(stored(kBoolColumn, ""), kHandedOver);
  EXPECT_EQ(stored(kBoolColumn, "\1\1"), kHandedOver);
}

TEST(TupleDecoderKinds, writes_any_single_byte) {
  const TupleColumn column = column_of(FieldKind::kByte, 1);
  for (int byte = 0; byte < 256; ++byte)
    EXPECT_EQ(stored(column, std::string(1, static_cast<char>(byte))),
              std::string(1, static_cast<char>(byte)));
  EXPECT_EQ(stored(column, ""), kHandedOver);
  EXPECT_EQ(stored(column, "ab"), kHandedOver);
}

TEST(TupleDecoderKinds, swaps_numbers_of_the_right_length) {
  EXPECT_EQ(stored(kInt2Column, wire(-2, 2)), native<int16_t>(-2));
  EXPECT_EQ(stored(kInt4Column, wire(-70000, 4)), native<int32_t>(-70000));
  EXPECT_EQ(stored(kInt8Column, wire(1234567890123, 8)), native<int64_t>(1234567890123));
  for (const TupleColumn &column : {kInt2Column, kInt4Column, kInt8Column})
    for (size_t size = 0; size < 10; ++size)
      EXPECT_EQ(stored(column, std::string(size, '\1')) == kHandedOver,
                size != static_cast<size_t>(column.length));
}

TEST(TupleDecoderKinds, writes_fixed_bytes_as_they_are) {
  TupleColumn uuid = column_of(FieldKind::kFixed, 16);
  uuid.alignment = 1;
  EXPECT_EQ(stored(uuid, "0123456789abcdef"), "0123456789abcdef");
  EXPECT_EQ(stored(uuid, "0123456789abcde"), kHandedOver);
  TupleColumn macaddr = column_of(FieldKind::kFixed, 6);
  macaddr.alignment = 4;
  EXPECT_EQ(stored(macaddr, "abcdef"), "abcdef");
  EXPECT_EQ(stored(column_of(FieldKind::kFixed, 8), "abcdef"), kHandedOver); // macaddr8 widens it
}

TEST(TupleDecoderKinds, writes_dates_of_the_servers_range) {
  const TupleColumn column = column_of(FieldKind::kDate, 4);
  const auto is_direct = [&](int32_t date) {
    const std::string value = stored(column, wire(date, 4));
    EXPECT_TRUE(value == native(date) || value == kHandedOver);
    return value != kHandedOver;
  };
  EXPECT_TRUE(is_direct(0));
  EXPECT_TRUE(is_direct(std::numeric_limits<int32_t>::min())); // -infinity
  EXPECT_TRUE(is_direct(std::numeric_limits<int32_t>::max()));
  EXPECT_TRUE(is_direct(-2451545));
  EXPECT_FALSE(is_direct(-2451546));
  EXPECT_TRUE(is_direct(2145031948));
  EXPECT_FALSE(is_direct(2145031949));
  EXPECT_EQ(stored(column, wire(0, 8)), kHandedOver);
}

TEST(TupleDecoderKinds, writes_timestamps_of_the_servers_range) {
  const TupleColumn column = column_of(FieldKind::kTimestamp, 8);
  const auto is_direct = [&](int64_t time) {
    const std::string value = stored(column, wire(time, 8));
    EXPECT_TRUE(value == native(time) || value == kHandedOver);
    return value != kHandedOver;
  };
  EXPECT_TRUE(is_direct(0));
  EXPECT_TRUE(is_direct(-1));
  EXPECT_TRUE(is_direct(std::numeric_limits<int64_t>::min()));
  EXPECT_TRUE(is_direct(std::numeric_limits<int64_t>::max()));
  EXPECT_TRUE(is_direct(-211813488000000000));
  EXPECT_FALSE(is_direct(-211813488000000001));
  EXPECT_TRUE(is_direct(9223371331199999999));
  EXPECT_FALSE(is_direct(9223371331200000000));
  EXPECT_EQ(stored(column, wire(0, 4)), kHandedOver);
}

TEST(TupleDecoderKinds, hands_over_timestamps_that_are_rounded) {
  const auto is_direct = [](int32_t typmod, int64_t time) {
    return stored(column_of(FieldKind::kTimestamp, 8, typmod), wire(time, 8)) != kHandedOver;
  };
  EXPECT_TRUE(is_direct(6, 1));
  EXPECT_FALSE(is_direct(5, 1));
  EXPECT_TRUE(is_direct(5, -10));
  EXPECT_FALSE(is_direct(3, 1500));
  EXPECT_TRUE(is_direct(3, -1000));
  EXPECT_TRUE(is_direct(0, 7000000));
  EXPECT_FALSE(is_direct(0, 7100000));
  EXPECT_TRUE(is_direct(0, std::numeric_limits<int64_t>::max())); // infinity
  EXPECT_FALSE(is_direct(7, 0));
  EXPECT_FALSE(is_direct(-2, 0));
}

TEST(TupleDecoderKinds, writes_times_of_one_day) {
  const auto is_direct = [](int32_t typmod, int64_t time) {
    const std::string value = stored(column_of(FieldKind::kTime, 8, typmod), wire(time, 8));
    EXPECT_TRUE(value == native(time) || value == kHandedOver);
    return value != kHandedOver;
  };
  EXPECT_TRUE(is_direct(-1, 0));
  EXPECT_FALSE(is_direct(-1, -1));
  EXPECT_TRUE(is_direct(-1, 86400000000));
  EXPECT_FALSE(is_direct(-1, 86400000001));
  EXPECT_FALSE(is_direct(-1, std::numeric_limits<int64_t>::max())); // it has no infinity
  EXPECT_TRUE(is_direct(6, 1));
  EXPECT_FALSE(is_direct(4, 10));
  EXPECT_TRUE(is_direct(4, 100));
}

TEST(TupleDecoderKinds, writes_intervals_without_a_typmod) {
  const std::string value = wire(-5, 8) + wire(7, 4) + wire(-9, 4);
  EXPECT_EQ(stored(column_of(FieldKind::kInterval, 16), value),
            native<int64_t>(-5) + native<int32_t>(7) + native<int32_t>(-9));
  EXPECT_EQ(stored(column_of(FieldKind::kInterval, 16, 0x7FFF0003), value), kHandedOver);
  EXPECT_EQ(stored(column_of(FieldKind::kInterval, 16), value + "x"), kHandedOver);
}

TEST(TupleDecoderKinds, writes_bytea_as_it_is) {
  const TupleColumn column = column_of(FieldKind::kBytea, -1);
  for (const size_t size : {0, 1, 2, 7, 8, 9, 126, 127, 1000}) {
    const std::string value(size, '\0');
    EXPECT_EQ(stored(column, value), value);
  }
}

// Flaws at every place of texts of every length around the eight bytes that are looked at together.
TEST(TupleDecoderKinds, writes_text_without_nul) {
  for (size_t size = 0; size <= 27; ++size) {
    std::string text;
    for (size_t i = 0; i < size; ++i)
      text += static_cast<char>(i % 2 == 0 ? 'a' : '\x7F');
    EXPECT_EQ(stored(kTextColumn, text), text);
    for (size_t at = 0; at < size; ++at)
      for (const char byte : {'\0', '\x80', '\xFF', '\xE4', '\1', '\x7F'}) {
        std::string flawed = text;
        flawed[at] = byte;
        const bool is_ascii = byte == '\1' || byte == '\x7F';
        EXPECT_EQ(stored(kTextColumn, flawed), is_ascii ? flawed : kHandedOver) << size << at;
        EXPECT_EQ(stored(kTextColumn, flawed, TextEncoding::kSingleByte),
                  byte != '\0' ? flawed : kHandedOver);
        EXPECT_EQ(stored(kTextColumn, flawed, TextEncoding::kOther),
                  is_ascii ? flawed : kHandedOver);
      }
  }
}

TEST(TupleDecoderKinds, writes_varchar_up_to_its_limit) {
  const TupleColumn column = column_of(FieldKind::kVarchar, -1, 4 + 4);
  EXPECT_EQ(stored(column, ""), "");
  EXPECT_EQ(stored(column, "abcd"), "abcd");
  EXPECT_EQ(stored(column, "abcd "), kHandedOver);
  EXPECT_EQ(stored(column, "\303\244\303\244\303\244\303\244"), "\303\244\303\244\303\244\303\244");
  EXPECT_EQ(stored(column, "\303\244\303\244\303\244\303\244."), kHandedOver);
  EXPECT_EQ(stored(column, "\344\344\344\344", TextEncoding::kSingleByte), "\344\344\344\344");
  EXPECT_EQ(stored(column, "\344\344\344\344\344", TextEncoding::kSingleByte), kHandedOver);
  const std::string long_text(1000, 'x');
  EXPECT_EQ(stored(column_of(FieldKind::kVarchar, -1), long_text), long_text);
}

TEST(TupleDecoderKinds, writes_bpchar_of_exactly_its_length) {
  const TupleColumn column = column_of(FieldKind::kBpchar, -1, 4 + 4);
  EXPECT_EQ(stored(column, "ab  "), "ab  ");
  EXPECT_EQ(stored(column, "ab "), kHandedOver);
  EXPECT_EQ(stored(column, "ab   "), kHandedOver);
  EXPECT_EQ(stored(column, ""), kHandedOver);
  EXPECT_EQ(stored(column, "\303\244bcd"), "\303\244bcd");
  EXPECT_EQ(stored(column, "\303\244bc"), kHandedOver); // four bytes, three characters
  EXPECT_EQ(stored(column, "\344bc", TextEncoding::kSingleByte), kHandedOver);
  EXPECT_EQ(stored(column, "\344bcd", TextEncoding::kSingleByte), "\344bcd");
  EXPECT_EQ(stored(column_of(FieldKind::kBpchar, -1), "ab "), "ab ");
}

struct Numeric {
  std::vector<uint16_t> digits = {};
  int16_t weight = 0;
  uint16_t scale = 0;
  uint16_t sign = 0;

  [[nodiscard]] std::string field() const {
    std::string out =
        big_endian(digits.size(), 2) + wire(weight, 2) + wire(sign, 2) + wire(scale, 2);
    for (const uint16_t digit : digits)
      out += wire(digit, 2);
    return out;
  }
};

std::string stored(const Numeric &numeric, int32_t typmod = -1) {
  return stored(column_of(FieldKind::kNumeric, -1, typmod), numeric.field());
}

int32_t numeric_typmod(int32_t precision, int32_t scale) {
  return (precision << 16 | (scale & 0x7FF)) + 4;
}

std::string digits(const std::vector<uint16_t> &values) {
  std::string out;
  for (const uint16_t value : values)
    out += native(value);
  return out;
}

constexpr uint16_t kNegative = 0x4000;

TEST(TupleDecoderNumeric, writes_the_short_form) {
  EXPECT_EQ(stored(Numeric{}), native<uint16_t>(0x8000));
  EXPECT_EQ(stored(Numeric{.scale = 2}), native<uint16_t>(0x8000 | 2 << 7)); // 0.00
  EXPECT_EQ(stored(Numeric{{1}}), native<uint16_t>(0x8000) + digits({1}));
  EXPECT_EQ(stored(Numeric{{12, 3400}, 0, 2, kNegative}), // -12.34
            native<uint16_t>(0x8000 | 0x2000 | 2 << 7) + digits({12, 3400}));
  EXPECT_EQ(stored(Numeric{{5000}, -1, 1}),
            native<uint16_t>(0x8000 | 1 << 7 | 0x7F) + digits({5000}));
  EXPECT_EQ(stored(Numeric{{1}, 63, 63}), native<uint16_t>(0x8000 | 63 << 7 | 63) + digits({1}));
  EXPECT_EQ(stored(Numeric{{1}, -64, 1000}), // too many digits behind the point
            native<uint16_t>(1000) + native<int16_t>(-64) + digits({1}));
}

TEST(TupleDecoderNumeric, writes_the_long_form) {
  EXPECT_EQ(stored(Numeric{{1}, 64, 0}), native<uint16_t>(0) + native<int16_t>(64) + digits({1}));
  EXPECT_EQ(stored(Numeric{{1}, 0, 64, kNegative}),
            native<uint16_t>(kNegative | 64) + native<int16_t>(0) + digits({1}));
  EXPECT_EQ(stored(Numeric{{1}, -65, 0x3FFF}),
            native<uint16_t>(0x3FFF) + native<int16_t>(-65) + digits({1}));
  EXPECT_EQ(stored(Numeric{{1}, 0, 0x4000}), kHandedOver);
}

TEST(TupleDecoderNumeric, writes_any_number_of_digits) {
  for (size_t count = 1; count <= 100; ++count) {
    std::vector<uint16_t> values(count, 9999);
    const auto weight = static_cast<int16_t>(count - 1);
    const std::string form = count <= 64 ? native(static_cast<uint16_t>(0x8000 | weight))
                                         : native<uint16_t>(0) + native(weight);
    EXPECT_EQ(stored(Numeric{values, weight}), form + digits(values));
    for (const uint16_t flaw : {10000, 0x7FFF, 0x8000, 0xFFFF})
      for (size_t at = 0; at < std::min<size_t>(count, 9); ++at) {
        std::vector<uint16_t> flawed = values;
        flawed[at] = flaw;
        EXPECT_EQ(stored(Numeric{flawed, weight}), kHandedOver) << count << " " << at;
      }
  }
}

TEST(TupleDecoderNumeric, hands_over_what_is_not_stored_as_it_comes) {
  EXPECT_EQ(stored(Numeric{{0, 1}, 1}), kHandedOver);
  EXPECT_EQ(stored(Numeric{{1, 0}, 1}), kHandedOver);
  EXPECT_EQ(stored(Numeric{{}, 1}), kHandedOver);
  EXPECT_EQ(stored(Numeric{{}, 0, 0, kNegative}), kHandedOver);
  for (const uint16_t sign : {0xC000, 0xD000, 0xF000, 0x8000, 0x0001, 0x4001}) // NaN, infinities
    for (const std::vector<uint16_t> &values : {std::vector<uint16_t>{}, {1}})
      EXPECT_EQ(stored(Numeric{values, 0, 0, sign}), kHandedOver) << sign;
}

TEST(TupleDecoderNumeric, hands_over_digits_behind_the_scale) {
  EXPECT_NE(stored(Numeric{{1, 2000}, 0, 1}), kHandedOver);
  EXPECT_EQ(stored(Numeric{{1, 2000}, 0, 0}), kHandedOver);
  EXPECT_EQ(stored(Numeric{{1, 2300}, 0, 1}), kHandedOver);
  EXPECT_NE(stored(Numeric{{1, 2300}, 0, 2}), kHandedOver);
  EXPECT_EQ(stored(Numeric{{1, 2340}, 0, 2}), kHandedOver);
  EXPECT_NE(stored(Numeric{{1, 2340}, 0, 3}), kHandedOver);
  EXPECT_EQ(stored(Numeric{{1, 2345}, 0, 3}), kHandedOver);
  EXPECT_NE(stored(Numeric{{1, 2345}, 0, 4}), kHandedOver);
  EXPECT_EQ(stored(Numeric{{1}, -2, 4}), kHandedOver); // 0.00000001
  EXPECT_EQ(stored(Numeric{{1}, -32768, 0}), kHandedOver);
  EXPECT_NE(stored(Numeric{{1}, 32767, 0}), kHandedOver);
}

TEST(TupleDecoderNumeric, hands_over_other_scales_than_the_columns) {
  const int32_t typmod = numeric_typmod(10, 2);
  EXPECT_NE(stored(Numeric{{12, 3400}, 0, 2}, typmod), kHandedOver);
  EXPECT_EQ(stored(Numeric{{12, 3000}, 0, 1}, typmod), kHandedOver);
  EXPECT_EQ(stored(Numeric{{12, 3450}, 0, 3}, typmod), kHandedOver);
  EXPECT_NE(stored(Numeric{.scale = 2}, typmod), kHandedOver);
  EXPECT_EQ(stored(Numeric{}, typmod), kHandedOver);
  EXPECT_EQ(stored(Numeric{{1}, 1, 0}, numeric_typmod(3, -2)), kHandedOver);
}

TEST(TupleDecoderNumeric, hands_over_more_digits_than_the_column_holds) {
  const auto is_direct = [](int32_t integer_digits, uint16_t first, int16_t weight) {
    return stored(Numeric{{first}, weight, 2}, numeric_typmod(integer_digits + 2, 2)) !=
           kHandedOver;
  };
  EXPECT_TRUE(is_direct(1, 9, 0));
  EXPECT_FALSE(is_direct(1, 10, 0));
  EXPECT_TRUE(is_direct(2, 99, 0));
  EXPECT_FALSE(is_direct(2, 100, 0));
  EXPECT_TRUE(is_direct(3, 999, 0));
  EXPECT_FALSE(is_direct(3, 1000, 0));
  EXPECT_TRUE(is_direct(4, 9999, 0));
  EXPECT_FALSE(is_direct(4, 1, 1));
  EXPECT_TRUE(is_direct(5, 1, 1));
  // numeric(2, 4): below 0.01
  EXPECT_NE(stored(Numeric{{99}, -1, 4}, numeric_typmod(2, 4)), kHandedOver);
  EXPECT_EQ(stored(Numeric{{100}, -1, 4}, numeric_typmod(2, 4)), kHandedOver);
}

TEST(TupleDecoderNumeric, hands_over_every_other_length) {
  const std::string whole = Numeric{{12, 3400, 5600}, 0, 8}.field();
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(stored(column_of(FieldKind::kNumeric, -1), whole.substr(0, size)), kHandedOver);
  EXPECT_EQ(stored(column_of(FieldKind::kNumeric, -1), whole + "xy"), kHandedOver);
}

} // namespace
} // namespace parallel_loader
