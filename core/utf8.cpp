// utf8: see utf8.hpp.
#include "core/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace parallel_loader {
namespace {

constexpr uint64_t kHighBits = 0x8080808080808080;
constexpr uint64_t kLowBits = 0x0101010101010101;

// Length of the prefix that is ASCII without NUL, eight bytes at a time.
size_t ascii_prefix(std::string_view text) noexcept {
  size_t done = 0;
  for (uint64_t word = 0; text.size() - done >= sizeof(word); done += sizeof(word)) {
    std::memcpy(&word, text.data() + done, sizeof(word));
    // Below 0x80 each, so that a byte less one has its high bit only where the byte is NUL.
    if ((word & kHighBits) != 0 || ((word - kLowBits) & kHighBits) != 0)
      break;
  }
  while (done < text.size() && static_cast<signed char>(text[done]) > 0)
    ++done;
  return done;
}

bool is_tail(unsigned char byte) noexcept {
  return (byte & 0xC0) == 0x80;
}

// Length of the character of several bytes that `text` begins with; 0 when it is none.
// The ranges are those of the table in RFC 3629, section 4.
size_t sequence(std::string_view text) noexcept {
  const auto byte = [&](size_t index) -> unsigned char {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0;
  };
  const unsigned char first = byte(0);
  const unsigned char second = byte(1);
  if (first >= 0xC2 && first <= 0xDF)
    return is_tail(second) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned char low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned char high = first == 0xED ? 0x9F : 0xBF;
    return second >= low && second <= high && is_tail(byte(2)) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned char low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xF4 ? 0x8F : 0xBF;
    return second >= low && second <= high && is_tail(byte(2)) && is_tail(byte(3)) ? 4 : 0;
  }
  return 0;
}

} // namespace

bool is_ascii(std::string_view text) noexcept {
  return ascii_prefix(text) == text.size();
}

bool is_utf8(std::string_view text) noexcept {
  for (;;) {
    text.remove_prefix(ascii_prefix(text));
    if (text.empty())
      return true;
    const size_t size = sequence(text);
    if (size == 0)
      return false;
    text.remove_prefix(size);
  }
}

} // namespace parallel_loader
