// array_builder_test: arrays to the byte, as utils/array.h has them; the server itself is compared
// with in 031_heap_property.pl.
#include "core/tuple/array_builder.hpp"

#include "tests/unit/tuple_fixture.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

TupleColumn array_of(TypeOid type, int16_t length, uint8_t alignment, int32_t typmod = -1) {
  TupleColumn column = column_of(FieldKind::kArray, -1, typmod);
  column.alignment = alignment < 4 ? 4 : alignment;
  column.element = {
      .type = type, .kind = field_kind(type), .length = length, .alignment = alignment};
  return column;
}

const TupleColumn kBools = array_of(16, 1, 1);
const TupleColumn kInt4s = array_of(23, 4, 4);
const TupleColumn kInt8s = array_of(20, 8, 8);
const TupleColumn kTexts = array_of(25, -1, 4);

struct Header {
  uint32_t dimensions = 1;
  uint32_t flags = 0;
  uint32_t lower_bound = 1;
};

// What binary COPY sends of an array.
std::string sent(TypeOid type, const std::vector<std::string> &fields, Header header = {}) {
  std::string out =
      big_endian(header.dimensions, 4) + big_endian(header.flags, 4) + big_endian(type, 4);
  out += big_endian(fields.size(), 4) + big_endian(header.lower_bound, 4);
  for (const std::string &each : fields)
    out += each;
  return out;
}

std::string built(const TupleColumn &column, const std::string &field) {
  ArrayBuilder builder(column, TextEncoding::kUtf8);
  const std::vector<char> exact(field.begin(), field.end());
  return std::string(builder.build({exact.data(), exact.size()}));
}

std::string stored(uint32_t data_offset, TypeOid type, uint32_t count, uint32_t lower_bound,
                   const std::string &rest) {
  return long_varlena(native(uint32_t{1}) + native(data_offset) + native(type) + native(count) +
                      native(lower_bound) + rest);
}

const std::string kOne = field(big_endian(1, 4));

TEST(ArrayBuilder, writes_elements_one_after_the_other) {
  EXPECT_EQ(built(kInt4s, sent(23, {kOne, field(big_endian(0xFFFFFFFF, 4))})),
            stored(0, 23, 2, 1, native(1) + native(-1)));
  EXPECT_EQ(built(kInt8s, sent(20, {field(big_endian(5, 8))}, {.lower_bound = 7})),
            stored(0, 20, 1, 7, native(int64_t{5})));
  EXPECT_EQ(built(kBools, sent(16, {field("\1"), field(std::string(1, '\0')), field("\1")})),
            stored(0, 16, 3, 1, std::string("\1\0\1", 3)));
}

TEST(ArrayBuilder, pads_each_element_and_never_packs_it) {
  const std::string kPad3(3, '\0');
  EXPECT_EQ(
      built(kTexts, sent(25, {field("a"), field(""), field("bcde")})),
      stored(0, 25, 3, 1, long_varlena("a") + kPad3 + long_varlena("") + long_varlena("bcde")));
  EXPECT_EQ(built(kTexts, sent(25, {field("a")})), stored(0, 25, 1, 1, long_varlena("a") + kPad3));
}

TEST(ArrayBuilder, puts_a_bitmap_before_elements_with_nulls) {
  EXPECT_EQ(built(kInt4s, sent(23, {kOne, kNullField, kOne}, {.flags = 1})),
            stored(32, 23, 3, 1, std::string("\5\0\0\0\0\0\0\0", 8) + native(1) + native(1)));
  EXPECT_EQ(built(kInt4s, sent(23, {kNullField})), stored(32, 23, 1, 1, std::string(8, '\0')));
}

TEST(ArrayBuilder, makes_the_empty_array_of_none) {
  const std::string empty = long_varlena(native(0) + native(0) + native(23));
  EXPECT_EQ(built(kInt4s, big_endian(0, 4) + big_endian(0, 4) + big_endian(23, 4)), empty);
  EXPECT_EQ(built(kInt4s, sent(23, {})), empty);
}

TEST(ArrayBuilder, leaves_headers_that_are_not_plain) {
  EXPECT_EQ(built(kInt4s, ""), "");
  EXPECT_EQ(built(kInt4s, sent(25, {kOne})), "") << "another type";
  EXPECT_EQ(built(kInt4s, sent(23, {kOne}, {.flags = 2})), "");
  EXPECT_EQ(built(kInt4s, sent(23, {kOne}, {.dimensions = 2})), "");
  EXPECT_EQ(built(kInt4s, sent(23, {kOne}, {.dimensions = 0})), "");
  EXPECT_EQ(built(kInt4s, sent(23, {kOne}, {.dimensions = 0xFFFFFFFF})), "");
  EXPECT_EQ(built(kInt4s, sent(23, {kOne}, {.lower_bound = 0x7FFFFFFF})), "") << "bound overflows";
  EXPECT_NE(built(kInt4s, sent(23, {kOne}, {.lower_bound = 0x7FFFFFFE})), "");
  EXPECT_NE(built(kInt4s, sent(23, {kOne}, {.lower_bound = 0x80000000})), "");
}

TEST(ArrayBuilder, leaves_fields_that_end_too_early_or_too_late) {
  const std::string whole = sent(23, {kOne, kNullField, kOne});
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(built(kInt4s, whole.substr(0, size)), "") << size;
  EXPECT_EQ(built(kInt4s, whole + "x"), "");
}

TEST(ArrayBuilder, leaves_elements_that_the_server_must_see) {
  EXPECT_EQ(built(kInt4s, sent(23, {kOne, field("abc")})), "") << "a length that is not its type's";
  EXPECT_EQ(built(kBools, sent(16, {field("\2")})), "");
  EXPECT_EQ(built(kTexts, sent(25, {field("\xff")})), "");
  const TupleColumn shorts = array_of(1043, -1, 4, 4 + 3);
  EXPECT_NE(built(shorts, sent(1043, {field("abc")})), "");
  EXPECT_EQ(built(shorts, sent(1043, {field("abc"), field("abcd")})), "");
}

TEST(ArrayBuilder, is_written_into_the_tuple) {
  Decoding it(in_order({kBoolColumn, kInt4s, kTexts}));
  it.decode({field("\1"), field(sent(23, {kOne})), field(sent(25, {field("a")}))});
  EXPECT_TRUE(it.receiver.calls.empty());
  EXPECT_EQ(long_varlena(it.walk().values.at(1).value()), stored(0, 23, 1, 1, native(1)));
  it.decode({field("\1"), field(sent(23, {field("abc")})), field(sent(25, {}))});
  EXPECT_EQ(it.receiver.calls.size(), 1U);
}

} // namespace
} // namespace parallel_loader
