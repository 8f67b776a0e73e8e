// copy_stream: see copy_stream.hpp.
#include "core/copy_stream.hpp"

#include "core/byte_order.hpp"

#include <algorithm>
#include <cstring>

namespace parallel_loader {
namespace {

std::string check_text_row(std::string_view row) {
  const size_t line_end = row.find('\n');
  if (line_end == std::string_view::npos)
    return "it does not end with a line break";
  if (line_end + 1 != row.size())
    return "it holds a line break inside";
  if (row == "\\.\n")
    return "it is the mark of the end of data";
  return {};
}

} // namespace

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

void CopyStream::start(std::string_view sql) {
  rows_.start(sql);
  take_row();
}

void CopyStream::take_row() {
  if (!rows_.has_row())
    return;
  row_ = rows_.row();
  const std::string flaw =
      format_ == Format::kBinary ? check_binary_row(row_, column_count_) : check_text_row(row_);
  if (!flaw.empty())
    throw_malformed_row(rows_.row_count(), flaw);
}

void CopyStream::begin_segment() {
  is_segment_ended_ = !rows_.has_row();
  is_segment_drained_ = false;
  segment_used_ = 0;
  header_ = format_ == Format::kBinary ? kBinaryCopyHeader : std::string_view();
}

// A segment has no trailer: COPY FROM takes the end of data at a row border as its end.
size_t CopyStream::read(std::span<char> out) {
  size_t filled = 0;
  while (filled < out.size() && (!header_.empty() || !is_segment_ended_)) {
    std::string_view &from = header_.empty() ? row_ : header_;
    const size_t size = std::min(from.size(), out.size() - filled);
    std::memcpy(out.data() + filled, from.data(), size);
    from.remove_prefix(size);
    filled += size;
    if (&from == &header_)
      continue;
    segment_used_ += static_cast<int64_t>(size);
    if (!row_.empty())
      continue;
    rows_.next();
    take_row();
    is_segment_ended_ = !rows_.has_row() || segment_used_ >= segment_bytes_;
  }
  is_segment_drained_ = filled == 0 && !out.empty();
  return filled;
}

} // namespace parallel_loader
