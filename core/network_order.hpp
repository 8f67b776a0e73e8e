// network_order: integers as they travel, with the highest byte first.
#pragma once

#include "core/pure.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

namespace parallel_loader {

inline uint16_t swap_bytes(uint16_t value) noexcept {
  return __builtin_bswap16(value);
}
inline uint32_t swap_bytes(uint32_t value) noexcept {
  return __builtin_bswap32(value);
}
inline uint64_t swap_bytes(uint64_t value) noexcept {
  return __builtin_bswap64(value);
}

/// Reads an unsigned integer of its size from `bytes`.
template <class Unsigned> [[nodiscard]] Unsigned read_network(const char *bytes) noexcept {
  Unsigned value = 0;
  std::memcpy(&value, bytes, sizeof(value));
  return std::endian::native == std::endian::little ? swap_bytes(value) : value;
}

} // namespace parallel_loader
