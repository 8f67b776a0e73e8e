#include "core/stream/copy_stream.hpp"

#include "core/stream/binary_row.hpp"

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
    return "it is an end-of-data marker";
  return {};
}

} // namespace

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
  if (chars_ != nullptr)
    chars_->require_readable(row_, rows_.row_count());
}

void CopyStream::begin_segment() {
  is_segment_ended_ = !rows_.has_row();
  is_segment_drained_ = false;
  segment_used_ = 0;
  header_ = format_ == Format::kBinary ? kBinaryCopyHeader : std::string_view();
}

// A segment has no trailer: COPY FROM takes the end of data at a row boundary as its end.
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
    if (is_row_by_row_)
      break;
  }
  is_segment_drained_ = filled == 0 && !out.empty();
  return filled;
}

} // namespace parallel_loader
