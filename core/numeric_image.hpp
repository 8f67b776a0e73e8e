// numeric_image: values of type numeric, from the wire to the disk.
#pragma once

#include "core/pure.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace parallel_loader {

/// Writes the value of a binary field as it lies on disk, without a varlena header, to `out`, which
/// has room for the field's size.  Returns its size, or 0 for a value that numeric_recv() would
/// refuse or change, or that has another form: special values, more than 63 digits after the point,
/// zero digits to be cut off, another scale than the column's, more digits than it has.
/// `typmod` is the column's, -1 for none.
/// Formats: numeric_recv(), and NumericShort in src/backend/utils/adt/numeric.c.
[[nodiscard]] size_t write_numeric(std::string_view field, int32_t typmod, char *out) noexcept;

} // namespace parallel_loader
