// byte_order: loads and stores of numbers at any address, big-endian or in the machine's own order.
#pragma once

#include "core/base/pure.hpp"

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace parallel_loader {

inline constexpr bool kIsLittleEndian = std::endian::native == std::endian::little;
static_assert(kIsLittleEndian || std::endian::native == std::endian::big);

[[nodiscard]] constexpr uint16_t swap_bytes(uint16_t value) noexcept {
  return __builtin_bswap16(value);
}
[[nodiscard]] constexpr uint32_t swap_bytes(uint32_t value) noexcept {
  return __builtin_bswap32(value);
}
[[nodiscard]] constexpr uint64_t swap_bytes(uint64_t value) noexcept {
  return __builtin_bswap64(value);
}

/// One, or the high bit, in each byte of a word: for tests of eight bytes at once.
inline constexpr uint64_t kOnes = 0x0101010101010101;
inline constexpr uint64_t kHighBits = 0x8080808080808080;

/// The bytes at `from` as a number in the machine's order.
template <std::unsigned_integral T> [[nodiscard]] T load(const char *from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// The bytes at `from` as a number in the order of the wire, the high byte first.
template <std::unsigned_integral T> [[nodiscard]] T load_big_endian(const char *from) noexcept {
  return kIsLittleEndian ? swap_bytes(load<T>(from)) : load<T>(from);
}

/// Writes `value` in the machine's order.
template <std::integral T> void store(char *to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

/// The `size` bytes (1 to 8) before `end` at the front of a word, zeros behind them.  Reads the
/// eight bytes before `end`.
[[nodiscard]] inline uint64_t load_tail(const char *end, size_t size) noexcept {
  const uint64_t word = load<uint64_t>(end - 8);
  const size_t unwanted_bits = 64 - 8 * size;
  return kIsLittleEndian ? word >> unwanted_bits : word << unwanted_bits;
}

/// A word of `size` (1 to 7) zero bytes at its front and `filler` in each byte behind them.
[[nodiscard]] constexpr uint64_t fill_behind(size_t size, uint8_t filler) noexcept {
  const uint64_t word = 0x0101010101010101 * filler;
  return kIsLittleEndian ? word << (8 * size) : word >> (8 * size);
}

} // namespace parallel_loader
