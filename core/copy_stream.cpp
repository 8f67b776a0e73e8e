// copy_stream: see copy_stream.hpp.
#include "core/copy_stream.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cstring>

namespace parallel_loader {
namespace {

constexpr std::string_view kTrailer{"\377\377", 2};
constexpr size_t kSignatureSize = 11;
constexpr uint32_t kOidsFlag = 1U << 16;
constexpr uint32_t kCriticalFlags = 0xFFFF0000; // an unknown flag among these changes the format

uint32_t read_uint32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

[[noreturn]] void throw_malformed(std::string message, std::string detail) {
  throw Error(sqlstate::kBadCopyFileFormat, std::move(message), std::move(detail));
}

// Takes the header off the stream's first message.
std::string_view strip_header(std::string_view message) {
  constexpr std::string_view kWhat = "source sent a malformed COPY header";
  if (!message.starts_with(kBinaryCopyHeader.substr(0, kSignatureSize)))
    throw_malformed(std::string(kWhat), "Its signature is not that of binary COPY.");
  message.remove_prefix(kSignatureSize);
  if (message.size() < 8)
    throw_malformed(std::string(kWhat), "It is cut short.");
  const uint32_t flags = read_uint32(message);
  const uint32_t extension_size = read_uint32(message.substr(4));
  if ((flags & kOidsFlag) != 0)
    throw_malformed(std::string(kWhat), "Its rows hold OIDs.");
  if ((flags & kCriticalFlags) != 0)
    throw_malformed(std::string(kWhat), "It has a flag that is not known.");
  message.remove_prefix(8);
  if (extension_size > message.size())
    throw_malformed(std::string(kWhat), "Its extension area is cut short.");
  message.remove_prefix(extension_size);
  return message;
}

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
  const size_t field_count = static_cast<size_t>(static_cast<unsigned char>(row[0])) << 8 |
                             static_cast<size_t>(static_cast<unsigned char>(row[1]));
  if (field_count != column_count)
    return "it has " + std::to_string(field_count) + " fields, not " + std::to_string(column_count);
  row.remove_prefix(2);
  for (size_t field = 0; field < column_count; ++field) {
    if (row.size() < 4)
      return "the length of field " + std::to_string(field + 1) + " is cut short";
    const uint32_t size = read_uint32(row);
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
  source_.copy_out(sql);
  next_row();
}

// Moves on to the next row.  The command's end is awaited at once, so that a stream that was broken
// off raises the source's error before its last segment ends.
void CopyStream::next_row() {
  for (;;) {
    std::string_view message = source_.copy_row();
    if (message.empty())
      return end_stream();
    if (is_first_ && format_ == Format::kBinary)
      message = strip_header(message);
    is_first_ = false;
    if (message.empty())
      continue; // the header came alone
    if (has_trailer_)
      throw_malformed("source sent data after the end of its rows", {});
    if (format_ == Format::kBinary && message == kTrailer) {
      has_trailer_ = true;
      continue;
    }
    const std::string flaw = format_ == Format::kBinary ? check_binary_row(message, column_count_)
                                                        : check_text_row(message);
    if (!flaw.empty())
      throw_malformed("source sent a malformed row",
                      "Of row " + std::to_string(row_count_ + 1) + " of the stream: " + flaw + ".");
    row_ = message;
    ++row_count_;
    byte_count_ += static_cast<int64_t>(message.size());
    return;
  }
}

void CopyStream::end_stream() {
  source_row_count_ = source_.copy_end();
  if (format_ == Format::kBinary && !has_trailer_)
    throw_malformed("source sent no end of its rows", {});
  is_finished_ = true;
}

void CopyStream::begin_segment() {
  is_segment_ended_ = is_finished_;
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
    next_row();
    is_segment_ended_ = is_finished_ || segment_used_ >= segment_bytes_;
  }
  is_segment_drained_ = filled == 0 && !out.empty();
  return filled;
}

void CopyStream::finish() {
  if (!is_finished_)
    throw Error(sqlstate::kInternalError, "COPY stream was not read to its end");
  if (source_row_count_ != static_cast<uint64_t>(row_count_))
    throw Error(sqlstate::kProtocolViolation,
                "source counted " + std::to_string(source_row_count_) + " rows, but " +
                    std::to_string(row_count_) + " arrived");
}

} // namespace parallel_loader
