#include "core/stream/binary_row.hpp"

#include "core/base/byte_order.hpp"
#include "core/base/error.hpp"

namespace parallel_loader {

std::string check_binary_row(std::string_view row, size_t column_count) {
  if (row.size() < 2)
    return "its field count is cut short";
  const size_t field_count = load_big_endian<uint16_t>(row.data());
  if (field_count != column_count)
    return "it has " + std::to_string(field_count) + " fields, not " + std::to_string(column_count);
  row.remove_prefix(2);
  for (size_t field = 0; field < column_count; ++field) {
    if (row.size() < 4)
      return "the length of field " + std::to_string(field + 1) + " is cut short";
    const uint32_t size = load_big_endian<uint32_t>(row.data());
    row.remove_prefix(4);
    if (size == 0xFFFFFFFF) // -1: NULL
      continue;
    if (size > row.size()) // other negative lengths are above any row's size
      return "field " + std::to_string(field + 1) + " is longer than the row";
    row.remove_prefix(size);
  }
  return row.empty() ? std::string() : "bytes follow its last field";
}

void throw_malformed_row(int64_t number, const std::string &flaw) {
  throw Error(sqlstate::kBadCopyFileFormat, "source sent a malformed row",
              "Of row " + std::to_string(number) + " of the stream: " + flaw + ".");
}

} // namespace parallel_loader
