// copy_stream: the rows of one COPY … TO STDOUT, checked and dealt out as streams that end at row
// boundaries.
#pragma once

#include "core/stream/copy_rows.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace parallel_loader {

/// Reads one COPY from the source and deals it out as a sequence of segments: each segment is a
/// COPY stream of its own (in binary with a header, without a trailer) that ends at a row boundary
/// after about `segment_bytes`.  That bounds what a COPY FROM that buffers rows can hold.  Errors
/// of the source raise from whichever call meets them.
///
/// Use: start; then, until has_more() is false, begin_segment and read until it returns 0; then
/// finish.
class CopyStream {
public:
  CopyStream(Connection &source, Format format, size_t column_count, int64_t segment_bytes)
      : rows_(source, format), format_(format), column_count_(column_count),
        segment_bytes_(segment_bytes) {}

  /// From now on rows are looked at for values that this server would misread.
  void require_readable(const CharText &chars) noexcept { chars_ = &chars; }

  /// From now on read() gives out one row, or what is left of one, at a time.
  void go_row_by_row() noexcept { is_row_by_row_ = true; }

  /// Sends the COPY statement and waits for its first row or its end.
  void start(std::string_view sql);

  /// True while rows are left to deal out.
  [[nodiscard]] bool has_more() const noexcept { return rows_.has_row(); }
  void begin_segment();
  /// Fills `out` with the segment's next bytes; returns how many, 0 at the segment's end.
  /// Throws Error 08006 when the session is lost, 22P04 when the stream is malformed.
  [[nodiscard]] size_t read(std::span<char> out);
  /// True when the last read() returned 0: the reader took everything and asked for more.
  [[nodiscard]] bool is_segment_drained() const noexcept { return is_segment_drained_; }

  /// Call when has_more() is false.  Throws Error 08P01 when the source's row count is not ours.
  void finish() const { rows_.finish(); }

  [[nodiscard]] int64_t row_count() const noexcept { return rows_.row_count(); }
  /// Bytes of row data received.
  [[nodiscard]] int64_t byte_count() const noexcept { return rows_.byte_count(); }

private:
  void take_row();

  CopyRows rows_;
  Format format_;
  size_t column_count_;
  int64_t segment_bytes_;
  std::string_view row_;     // the unread rest of the current row
  std::string_view header_;  // the unread rest of the segment's header
  int64_t segment_used_ = 0; // bytes of the current segment dealt out
  const CharText *chars_ = nullptr;
  bool is_row_by_row_ = false;
  bool is_segment_ended_ = false;
  bool is_segment_drained_ = false;
};

} // namespace parallel_loader
