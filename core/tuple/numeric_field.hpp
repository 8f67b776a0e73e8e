// numeric_field: a value of type numeric on its way from binary COPY into a tuple.
#pragma once

#include "core/base/pure.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace parallel_loader {

/// What a column's type says of its values: numeric(precision, scale).
struct NumericLimit {
  static constexpr int32_t kAnyScale = -1;

  int32_t scale = kAnyScale;
  int32_t integer_digits = 0; // of limited ones: the most digits before the point

  /// By the column's typmod (numeric.c, make_numeric_typmod).  The scale may come out negative.
  [[nodiscard]] static NumericLimit of_typmod(int32_t typmod) noexcept;
};

/// The header of a numeric in binary COPY: four numbers of 16 bits, then digits of base 10000.
/// Format: PostgreSQL, src/backend/utils/adt/numeric.c, numeric_send().
struct NumericField {
  uint16_t group_count = 0;
  int16_t weight = 0; // of the first digit, as a power of 10000
  uint16_t sign = 0;
  uint16_t scale = 0; // decimal digits behind the point

  /// Needs kHeaderBytes.
  [[nodiscard]] static NumericField read(const char *from) noexcept;
  static constexpr size_t kHeaderBytes = 8;

  /// True when numeric_recv() would store the digits of `field`, from which this was read, as they
  /// are.  It says nothing of digits above 9999.
  [[nodiscard]] bool is_stored_unchanged(std::string_view field,
                                         const NumericLimit &limit) const noexcept;
  /// Bytes of the stored form, without a varlena's header.  Never more than those of the field.
  [[nodiscard]] size_t stored_bytes() const noexcept;
  /// Writes the stored form and up to eight bytes more.  Returns false when a digit of `field` is
  /// above 9999.
  [[nodiscard]] bool store_field(char *to, std::string_view field) const noexcept;

private:
  [[nodiscard]] bool is_short() const noexcept;
};

/// Writes the stored form, without a varlena's header, that numeric_in() makes of a decimal number:
/// an optional minus sign, digits, an optional point and digits; 63 at most on either side of the
/// point.  Returns its size: 2 and 2 more for each group of four digits on either side, at most.
[[nodiscard]] size_t store_decimal(char *to, std::string_view text) noexcept;

} // namespace parallel_loader
