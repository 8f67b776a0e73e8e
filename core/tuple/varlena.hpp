// varlena: the length words of variable-length values in a tuple (postgres.h, varattrib_4b and
// _1b).
#pragma once

#include "core/base/byte_order.hpp"

namespace parallel_loader {

/// The 4-byte header, aligned as the type says, and the 1-byte header, which needs no alignment.
/// Both count themselves.
inline constexpr size_t kVarlenaHeaderBytes = 4;
inline constexpr size_t kShortVarlenaHeaderBytes = 1;
/// The most data a value with the 1-byte header holds (VARATT_SHORT_MAX less the header).
inline constexpr size_t kMaxShortVarlenaBytes = 126;

enum class VarlenaForm {
  kPlain,      // 4-byte header
  kCompressed, // 4-byte header, compressed data
  kShort,      // 1-byte header
  kExternal,   // a pointer to a value kept elsewhere
};

/// Tells by the first byte of a value.
[[nodiscard]] constexpr VarlenaForm varlena_form(char first) noexcept {
  const auto byte = static_cast<uint8_t>(first);
  if constexpr (kIsLittleEndian) {
    if ((byte & 0x01) != 0)
      return byte == 0x01 ? VarlenaForm::kExternal : VarlenaForm::kShort;
    return (byte & 0x02) != 0 ? VarlenaForm::kCompressed : VarlenaForm::kPlain;
  } else {
    if ((byte & 0x80) != 0)
      return byte == 0x80 ? VarlenaForm::kExternal : VarlenaForm::kShort;
    return (byte & 0x40) != 0 ? VarlenaForm::kCompressed : VarlenaForm::kPlain;
  }
}

/// The size, header included, that the 4-byte header at `from` says.
[[nodiscard]] inline size_t varlena_bytes(const char *from) noexcept {
  const auto header = load<uint32_t>(from);
  return kIsLittleEndian ? header >> 2 : header & 0x3FFFFFFF;
}

/// The size, header included, that the 1-byte header at `from` says.
[[nodiscard]] inline size_t short_varlena_bytes(const char *from) noexcept {
  const auto header = static_cast<uint8_t>(*from);
  return kIsLittleEndian ? header >> 1 : header & 0x7F;
}

inline void store_varlena_header(char *to, size_t data_bytes) noexcept {
  const auto size = static_cast<uint32_t>(data_bytes + kVarlenaHeaderBytes);
  store(to, kIsLittleEndian ? size << 2 : size & 0x3FFFFFFF);
}

inline void store_short_varlena_header(char *to, size_t data_bytes) noexcept {
  const auto size = static_cast<uint8_t>(data_bytes + kShortVarlenaHeaderBytes);
  store(to, static_cast<uint8_t>(kIsLittleEndian ? size << 1 | 0x01 : size | 0x80));
}

} // namespace parallel_loader
