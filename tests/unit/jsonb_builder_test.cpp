// jsonb_builder_test: jsonb to the byte.  The layout is that of utils/jsonb.h; the server itself is
// compared with in 031_heap_property.pl.
#include "core/tuple/jsonb_builder.hpp"

#include "tests/unit/tuple_fixture.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

std::string built(std::string_view text, TextEncoding encoding = TextEncoding::kUtf8) {
  JsonbBuilder builder(encoding);
  return std::string(builder.build("\1" + std::string(text)));
}

std::string word(uint32_t value) {
  return native(value);
}

// A numeric of one group of digits without any behind the point.
std::string small_number(uint16_t digits) {
  return long_varlena(native(uint16_t{0x8000}) + native(digits));
}

const std::string kPad2(2, '\0');
const std::string kPad3(3, '\0');

TEST(JsonbBuilder, wraps_a_scalar_in_an_array_of_its_own) {
  EXPECT_EQ(built("null"), long_varlena(word(0x50000001) + word(0xC0000000)));
  EXPECT_EQ(built("false"), long_varlena(word(0x50000001) + word(0xA0000000)));
  EXPECT_EQ(built("true"), long_varlena(word(0x50000001) + word(0xB0000000)));
  EXPECT_EQ(built("\"abc\""), long_varlena(word(0x50000001) + word(0x80000003) + "abc"));
  EXPECT_EQ(built("7"), long_varlena(word(0x50000001) + word(0x90000008) + small_number(7)));
}

TEST(JsonbBuilder, writes_arrays_and_objects) {
  EXPECT_EQ(built("[]"), long_varlena(word(0x40000000)));
  EXPECT_EQ(built("{}"), long_varlena(word(0x20000000)));
  // The padding before the number is part of it.
  EXPECT_EQ(built(R"({"a": 1})"), long_varlena(word(0x20000001) + word(0x80000001) +
                                               word(0x1000000B) + "a" + kPad3 + small_number(1)));
  EXPECT_EQ(built(R"(["ab", [true], "c"])"),
            long_varlena(word(0x40000003) + word(0x80000002) + word(0x5000000A) + word(1) + "ab" +
                         kPad2 + word(0x40000001) + word(0xB0000000) + "c"));
  EXPECT_EQ(built(R"({"k": "v", "j": null})"),
            long_varlena(word(0x20000002) + word(0x80000001) + word(1) + word(0x40000000) +
                         word(1) + "jk" + "v"));
}

TEST(JsonbBuilder, says_where_each_32nd_value_ends) {
  std::string text = "[";
  std::string entries;
  std::string data;
  for (unsigned i = 0; i < 70; ++i) {
    text += i == 0 ? "\"xy\"" : ",\"xy\"";
    data += "xy";
    entries += word(i % 32 == 0 ? 0x80000000 + 2 * (i + 1) : 2);
  }
  EXPECT_EQ(built(text + "]"), long_varlena(word(0x40000000 + 70) + entries + data));
}

TEST(JsonbBuilder, counts_keys_and_values_of_an_object_together) {
  std::string text = "{";
  std::string entries;
  std::string keys;
  for (unsigned i = 0; i < 20; ++i) {
    const std::string key(1, static_cast<char>('a' + i));
    text += (i == 0 ? "\"" : ",\"") + key + "\":true";
    keys += key;
    entries += word(i == 0 ? 0x80000001 : 1);
  }
  for (unsigned i = 20; i < 40; ++i)
    entries += word(i == 32 ? 0xB0000000 + 20 : 0x30000000);
  EXPECT_EQ(built(text + "}"), long_varlena(word(0x20000000 + 20) + entries + keys));
}

TEST(JsonbBuilder, checks_the_encoding) {
  EXPECT_NE(built("\"\xc3\xa9\""), "");
  EXPECT_EQ(built("\"\xe9\""), "");
  EXPECT_NE(built("\"\xe9\"", TextEncoding::kSingleByte), "");
  EXPECT_EQ(built("\"\xc3\xa9\"", TextEncoding::kOther), "");
  EXPECT_NE(built("\"e\"", TextEncoding::kOther), "");
}

TEST(JsonbBuilder, leaves_other_versions_and_bad_text) {
  JsonbBuilder builder(TextEncoding::kUtf8);
  EXPECT_EQ(builder.build(""), "");
  EXPECT_EQ(builder.build("\1"), "");
  EXPECT_EQ(builder.build("\2null"), "");
  EXPECT_EQ(builder.build("null"), "");
  EXPECT_EQ(builder.build("\1[1,"), "");
}

// Each kind of value at its densest must find room.
TEST(JsonbBuilder, has_room_for_any_text) {
  for (const std::string value :
       {"[]", "{}", "0", "1", "null", "\"\"", "0.1", "{\"\":1}", "[0]", "12345.67891"}) {
    std::string text = "[";
    for (int i = 0; i < 5000; ++i)
      text += value + ",";
    EXPECT_NE(built(text + value + "]"), "") << value;
  }
}

TEST(JsonbBuilder, is_written_into_the_tuple) {
  TupleColumn column = column_of(FieldKind::kJsonb, -1);
  Decoding it(in_order({kBoolColumn, column}));
  it.decode({field("\1"), field("\1{}")});
  EXPECT_EQ(it.walk().values.at(1), word(0x20000000));
  EXPECT_TRUE(it.receiver.calls.empty());
  it.decode({field("\1"), field("\1{\"a\":1e5}")});
  EXPECT_EQ(it.receiver.calls.size(), 1U);
  EXPECT_EQ(it.walk().values.at(1), "<\1{\"a\":1e5}>");
}

} // namespace
} // namespace parallel_loader
