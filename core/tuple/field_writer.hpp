// field_writer: writes the values of one column into tuples, each as its type stores it.
#pragma once

#include "core/base/byte_order.hpp"
#include "core/tuple/numeric_field.hpp"
#include "core/tuple/tuple_column.hpp"
#include "core/tuple/tuple_text.hpp"

#include <cstring>
#include <string_view>

namespace parallel_loader {

/// Writes what a receive function would store unchanged and would not refuse; all else is left to
/// that function.  A value of n bytes needs kMaxGrowth + n at most, and kOverrun more that are
/// written but belong to what follows.  Room is the caller's to provide.
class FieldWriter {
public:
  static constexpr size_t kMaxGrowth = 7 + 4; // alignment and a varlena's header
  static constexpr size_t kOverrun = 8;

  /// Throws Error XX000 when `column` says of itself what cannot be.
  FieldWriter(const TupleColumn &column, TextEncoding encoding);

  /// Writes the value of a field in binary COPY at `to`, aligned.  Returns where it ends; nullptr
  /// when it is left to the receive function: bytes at `to` are then of no meaning.  Six bytes
  /// before `field` must be readable.
  [[nodiscard]] char *write(std::string_view field, char *to) const noexcept;

  /// Writes what the receive function made of it.  Throws Error XX000 when that is not a value of
  /// the column's length.
  [[nodiscard]] char *write_received(std::string_view value, char *to) const;

private:
  [[nodiscard]] char *align(char *to) const noexcept;
  [[nodiscard]] char *write_checked(std::string_view field, char *to) const noexcept;
  [[nodiscard]] char *open_varlena(size_t data_bytes, char *to) const noexcept;
  template <class Word> [[nodiscard]] char *write_swapped(std::string_view, char *) const noexcept;
  [[nodiscard]] char *write_byte(std::string_view field, uint8_t highest, char *to) const noexcept;
  [[nodiscard]] char *write_date(std::string_view field, char *to) const noexcept;
  [[nodiscard]] char *write_time(std::string_view field, char *to) const noexcept;
  [[nodiscard]] char *write_timestamp(std::string_view field, char *to) const noexcept;
  [[nodiscard]] char *write_interval(std::string_view field, char *to) const noexcept;
  [[nodiscard]] char *write_fixed(std::string_view field, char *to) const noexcept;
  [[nodiscard]] char *write_text(std::string_view field, char *to) const noexcept;
  [[nodiscard]] char *write_bytea(std::string_view field, char *to) const noexcept;
  [[nodiscard]] char *write_numeric(std::string_view field, char *to) const noexcept;
  [[nodiscard]] char *write_address(std::string_view field, char *to) const noexcept;
  [[nodiscard]] char *write_aligned(std::string_view value, char *to) const noexcept;
  [[nodiscard]] char *write_received_varlena(std::string_view value, char *to) const;
  [[nodiscard]] bool holds_text(std::string_view field) const noexcept;
  void limit_by_typmod(const TupleColumn &column);

  FieldKind kind_;
  TextEncoding encoding_;
  bool is_packable_;
  int16_t length_;
  uintptr_t alignment_mask_;
  int64_t time_unit_ = 1;     // times are multiples of it, in microseconds
  size_t min_characters_ = 0; // of text
  size_t max_characters_ = SIZE_MAX;
  NumericLimit numeric_limit_;
};

// Numbers that are only swapped are written in place of the call: they are most of most rows.
inline char *FieldWriter::write(std::string_view field, char *to) const noexcept {
  switch (kind_) {
  case FieldKind::kSwap2:
    return write_swapped<uint16_t>(field, to);
  case FieldKind::kSwap4:
    return write_swapped<uint32_t>(field, to);
  case FieldKind::kSwap8:
    return write_swapped<uint64_t>(field, to);
  default:
    return write_checked(field, to);
  }
}

// The next aligned place.  Zeros lie before it.
inline char *FieldWriter::align(char *to) const noexcept {
  store(to, uint64_t{0});
  return to + (-reinterpret_cast<uintptr_t>(to) & alignment_mask_);
}

template <class Word>
inline char *FieldWriter::write_swapped(std::string_view field, char *to) const noexcept {
  if (field.size() != sizeof(Word))
    return nullptr;
  to = align(to);
  store(to, load_big_endian<Word>(field.data()));
  return to + sizeof(Word);
}

} // namespace parallel_loader
