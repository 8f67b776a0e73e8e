// array_builder: makes values of an array type of what binary COPY sends of them.
#pragma once

#include "core/tuple/field_writer.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace parallel_loader {

class ArrayBuilder {
public:
  /// Of a field; larger ones are left to the server, so that they take no memory here as well.
  static constexpr size_t kMaxBytes = size_t{1} << 20;

  /// Throws Error XX000 when the column's element says of itself what cannot be.
  ArrayBuilder(const TupleColumn &column, TextEncoding encoding);

  /// Returns the value that array_recv() makes of `field`, a varlena with its 4-byte header, valid
  /// until the next call; nothing when the value is left to that function: one of several
  /// dimensions, or with an element that FieldWriter does not write.
  /// Format of the field: PostgreSQL, arrayfuncs.c, array_recv(); of the value: utils/array.h.
  [[nodiscard]] std::string_view build(std::string_view field);

private:
  // The elements as they lie in the field, each behind its length.
  struct Elements {
    const char *first;
    const char *end;
    size_t count;
    bool has_null;
  };

  [[nodiscard]] std::optional<Elements> find_elements(std::string_view field) const;
  [[nodiscard]] char *write_elements(const Elements &elements, char *bitmap, char *to) const;
  [[nodiscard]] std::string_view close(char *end);
  void write_header(uint32_t dimensions, uint32_t data_offset);

  TypeOid element_type_;
  size_t element_mask_; // of its alignment
  FieldWriter writer_;
  std::vector<uint64_t> value_; // words, since elements are aligned within it
};

} // namespace parallel_loader
