// tuple_text_test: UTF-8 compared with a plain reading of the standard.
#include "core/tuple/tuple_text.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace parallel_loader {
namespace {

// UTF-8 of a code point; also of those that have none, in the form they would have.
std::string encode(uint32_t code, size_t size) {
  if (size == 1)
    return {static_cast<char>(code)};
  std::string out;
  for (size_t i = 1; i < size; ++i, code >>= 6)
    out.insert(out.begin(), static_cast<char>(0x80 | (code & 0x3F)));
  const uint32_t lead = size == 2 ? 0xC0 : size == 3 ? 0xE0 : size == 4 ? 0xF0 : 0xF8;
  out.insert(out.begin(), static_cast<char>(lead | code));
  return out;
}

bool is_character(uint32_t code, size_t size) {
  const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
  const size_t shortest = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  return code != 0 && code <= 0x10FFFF && !is_surrogate && size == shortest;
}

// Whether `bytes` are characters one after the other, tried by encoding each.
bool is_text_by_the_book(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto lead = static_cast<uint8_t>(bytes[0]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (size == 0 || bytes.size() < size || lead >= 0xF8)
      return false;
    uint32_t code = size == 1 ? lead : lead & (0x7FU >> size);
    for (size_t i = 1; i < size; ++i)
      code = code << 6 | (static_cast<uint8_t>(bytes[i]) & 0x3F);
    if (!is_character(code, size) || bytes.substr(0, size) != encode(code, size))
      return false;
    bytes.remove_prefix(size);
  }
  return true;
}

// In front of, behind, and between ASCII; in a piece of memory of exactly that size.
void expect_like_the_book(const std::string &bytes) {
  for (const std::string &text :
       {bytes, "abcdefgh" + bytes, "abc" + bytes + "defghijk", bytes + "a"}) {
    const std::vector<char> exact(text.begin(), text.end());
    EXPECT_EQ(is_utf8_text({exact.data(), exact.size()}), is_text_by_the_book(text))
        << ::testing::PrintToString(text);
  }
}

TEST(TupleDecoderText, agrees_on_all_sequences_of_up_to_two_bytes) {
  expect_like_the_book("");
  for (int first = 0; first < 256; ++first) {
    expect_like_the_book({static_cast<char>(first)});
    for (int second = 0; second < 256; ++second)
      expect_like_the_book({static_cast<char>(first), static_cast<char>(second)});
  }
}

TEST(TupleDecoderText, agrees_at_the_limits_of_three_and_four_bytes) {
  const std::string limits = {'\0',   '\x7F', '\x80', '\x81', '\x8F', '\x90',
                              '\x9F', '\xA0', '\xBF', '\xC0', '\xFF'};
  for (int first = 0xE0; first < 256; ++first)
    for (const char second : limits)
      for (const char third : limits) {
        expect_like_the_book({static_cast<char>(first), second, third});
        for (const char fourth : limits)
          expect_like_the_book({static_cast<char>(first), second, third, fourth});
      }
}

TEST(TupleDecoderText, agrees_on_every_code_point_near_a_limit) {
  for (const uint32_t limit : {0x0U, 0x7FU, 0x80U, 0x7FFU, 0x800U, 0xD7FFU, 0xD800U, 0xDBFFU,
                               0xDC00U, 0xDFFFU, 0xE000U, 0xFFFFU, 0x10000U, 0x10FFFFU, 0x110000U})
    for (uint32_t code = limit < 2 ? 0 : limit - 2; code < limit + 3; ++code)
      for (size_t size = code < 0x80      ? 1
                         : code < 0x800   ? 2
                         : code < 0x10000 ? 3
                                          : 4;
           size <= 4; ++size) {
        expect_like_the_book(encode(code, size));
        EXPECT_EQ(is_utf8_text(encode(code, size)), is_character(code, size))
            << code << " " << size;
      }
}

TEST(TupleDecoderText, finds_one_flaw_anywhere) {
  const std::string text = "\303\244bc\342\202\254\360\237\230\200 and \320\237\321\200 more";
  ASSERT_TRUE(is_utf8_text(text));
  for (size_t at = 0; at < text.size(); ++at)
    for (int byte = 0; byte < 256; ++byte) {
      std::string flawed = text;
      flawed[at] = static_cast<char>(byte);
      expect_like_the_book(flawed);
    }
}

TEST(TupleDecoderText, finds_a_nul_among_ascii) {
  for (size_t size = 1; size < 40; ++size)
    for (size_t at = 0; at < size; ++at) {
      std::string text(size, 'x');
      text[at] = '\0';
      EXPECT_FALSE(is_utf8_text(text)) << size << " " << at;
    }
}

TEST(TupleDecoderText, counts_characters) {
  EXPECT_EQ(utf8_length(""), 0U);
  EXPECT_EQ(utf8_length("abc"), 3U);
  EXPECT_EQ(utf8_length("\303\244bc\342\202\254\360\237\230\200"), 5U);
}

TEST(TupleDecoderText, copies_ascii_and_says_of_other_bytes) {
  for (size_t size = 0; size < 40; ++size)
    for (size_t at = 0; at <= size; ++at)
      for (const char byte : {'\0', '\1', '\x7F', '\x80', '\xFF'}) {
        std::string text(size, 'y');
        if (at < size)
          text[at] = byte;
        const std::string row = "before" + text; // what lies before a field in a row
        const std::vector<char> exact(row.begin(), row.end());
        std::vector<char> copy(size + 8, '#');
        const bool is_ascii = at == size || byte == '\1' || byte == '\x7F';
        EXPECT_EQ(copy_ascii(copy.data(), {exact.data() + 6, size}), is_ascii) << size << " " << at;
        EXPECT_EQ(std::string(copy.data(), size), text);
      }
}

} // namespace
} // namespace parallel_loader
