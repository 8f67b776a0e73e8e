#include "core/tuple/tuple_text.hpp"

#include "core/base/byte_order.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

// Has a high bit set if, and only if, one of the eight bytes is NUL or not ASCII: a byte without
// its high bit gets one by the subtraction only if it is 0, or if a lower byte was.
uint64_t not_ascii(uint64_t word) {
  return (word | (word - kOnes)) & kHighBits;
}

bool is_between(char byte, uint8_t low, uint8_t high) {
  const auto value = static_cast<uint8_t>(byte);
  return low <= value && value <= high;
}

bool is_continuation(char byte) {
  return is_between(byte, 0x80, 0xBF);
}

// The length of the character that `text` begins with; 0 when it is none.  Ranges: Unicode
// Standard, table 3-7, as pg_utf8_islegal().
size_t character_bytes(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80)
    return lead == 0 ? 0 : 1;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < 2)
    return 0;
  if (lead < 0xE0)
    return is_continuation(text[1]) ? 2 : 0;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
  if (lead == 0xE0)
    low = 0xA0;
  else if (lead == 0xED)
    high = 0x9F;
  else if (lead == 0xF0)
    low = 0x90;
  else if (lead == 0xF4)
    high = 0x8F;
  const size_t size = lead < 0xF0 ? 3 : 4;
  if (text.size() < size || !is_between(text[1], low, high) || !is_continuation(text[2]))
    return 0;
  return size == 3 || is_continuation(text[3]) ? size : 0;
}

} // namespace

bool is_utf8_text(std::string_view text) noexcept {
  const char *at = text.data();
  const char *const end = at + text.size();
  while (at != end) {
    const bool is_ascii = is_between(*at, 0x01, 0x7F);
    if (is_ascii && end - at >= 8 && not_ascii(load<uint64_t>(at)) == 0) {
      at += 8;
      continue;
    }
    const size_t size = is_ascii ? 1 : character_bytes({at, static_cast<size_t>(end - at)});
    if (size == 0)
      return false;
    at += size;
  }
  return true;
}

size_t utf8_length(std::string_view text) noexcept {
  return text.size() -
         static_cast<size_t>(std::count_if(text.begin(), text.end(), is_continuation));
}

bool is_text(std::string_view text, TextEncoding encoding) noexcept {
  switch (encoding) {
  case TextEncoding::kUtf8:
    return is_utf8_text(text);
  case TextEncoding::kSingleByte:
    return text.find('\0') == std::string_view::npos;
  case TextEncoding::kOther:
    return std::ranges::all_of(text, [](char byte) { return is_between(byte, 0x01, 0x7F); });
  }
  return false;
}

bool copy_ascii(char *to, std::string_view text) noexcept {
  const char *from = text.data();
  const char *const end = from + text.size();
  uint64_t flaw = 0;
  for (; end - from >= 8; from += 8, to += 8) {
    const auto word = load<uint64_t>(from);
    flaw |= not_ascii(word);
    store(to, word);
  }
  const auto rest = static_cast<size_t>(end - from);
  if (text.size() <= 1) {
    flaw |= rest == 1 && !is_between(*from, 0x01, 0x7F) ? kHighBits : 0;
    std::memcpy(to, from, rest);
  } else if (rest != 0) {
    const uint64_t word = load_tail(end, rest);
    flaw |= not_ascii(word | fill_behind(rest, 0x01));
    store(to, word);
  }
  return flaw == 0;
}

} // namespace parallel_loader
