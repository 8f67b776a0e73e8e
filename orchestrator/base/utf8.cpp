#include "orchestrator/base/utf8.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <string>

namespace parallel_loader {

namespace {

size_t length_by_first(unsigned char byte) noexcept {
  if (byte < 0x80)
    return 1;
  if (byte >= 0xC2 && byte < 0xE0)
    return 2;
  if (byte >= 0xE0 && byte < 0xF0)
    return 3;
  return byte >= 0xF0 && byte < 0xF5 ? 4 : 0;
}

bool is_scalar(char32_t code, size_t length) noexcept {
  constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  return code >= kLeast[length] && code < 0x110000 && (code < 0xD800 || code > 0xDFFF);
}

} // namespace

Utf8Char take_char(std::string_view &text) noexcept {
  Utf8Char result{.bytes = text.substr(0, 1)};
  const auto first = static_cast<unsigned char>(text.front());
  const size_t length = length_by_first(first);
  if (length != 0 && length <= text.size()) {
    // Of the first byte: all bits of ASCII, else those behind the ones that tell the length.
    char32_t code = length == 1 ? first : first & (0x7FU >> length);
    const bool is_whole =
        std::all_of(text.begin() + 1, text.begin() + static_cast<long>(length), [&code](char byte) {
          code = code << 6U | (static_cast<unsigned char>(byte) & 0x3FU);
          return (byte & 0xC0) == 0x80;
        });
    if (is_whole && is_scalar(code, length))
      result = {.bytes = text.substr(0, length), .code = code, .is_valid = true};
  }
  text.remove_prefix(result.bytes.size());
  return result;
}

size_t char_width(const Utf8Char &character) noexcept {
  if (!character.is_valid || character.code < 0x80)
    return 1;
  static const int utf8 = pg_char_to_encoding("UTF8");
  std::array<char, 5> bytes{}; // libpq reads up to a zero
  std::ranges::copy(character.bytes, bytes.begin());
  return static_cast<size_t>(std::max(0, PQdsplen(bytes.data(), utf8)));
}

bool is_control(const Utf8Char &character) noexcept {
  const char32_t code = character.code;
  const auto lies_in = [code](char32_t first, char32_t last) {
    return code >= first && code <= last;
  };
  return character.is_valid &&
         (code < ' ' || lies_in(0x7F, 0x9F) || code == 0x061C || lies_in(0x200E, 0x200F) ||
          lies_in(0x2028, 0x202E) || lies_in(0x2066, 0x2069));
}

} // namespace parallel_loader
