// copy_rows: the rows of one COPY … TO STDOUT, one at a time, to its proper end.
#pragma once

#include "core/connection/connection.hpp"
#include "core/source/column_map.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace parallel_loader {

/// The 19 bytes that begin a binary COPY stream: signature, flags, extension length.
/// Format: PostgreSQL manual, COPY, "Binary Format".
inline constexpr std::string_view kBinaryCopyHeader{"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19};

/// Reads one COPY from the source: takes header and trailer off, and holds the source to its word
/// on how many rows there were.  What is inside a row is its reader's to check.  Errors of the
/// source raise from whichever call meets them: Error 08006 when the session is lost, 22P04 when
/// the stream is malformed.
///
/// Use: start; while has_row(), take row() and call next(); then finish.
class CopyRows {
public:
  CopyRows(Connection &source, Format format) : source_(source), format_(format) {}

  /// Sends the COPY statement and waits for its first row or its end.
  void start(std::string_view sql);

  [[nodiscard]] bool has_row() const noexcept { return !is_finished_; }
  /// Valid until next().
  [[nodiscard]] std::string_view row() const noexcept { return row_; }
  /// Moves on.  The command's end is awaited as soon as its last row was taken, so that a stream
  /// that was broken off raises the source's error before its rows are used.
  void next();

  /// Call when has_row() is false.  Throws Error 08P01 when the source's row count is not ours.
  void finish() const;

  /// Rows received and their bytes, the current row included.
  [[nodiscard]] int64_t row_count() const noexcept { return row_count_; }
  [[nodiscard]] int64_t byte_count() const noexcept { return byte_count_; }

private:
  void end();

  Connection &source_;
  Format format_;
  std::string_view row_;
  int64_t row_count_ = 0;
  int64_t byte_count_ = 0;
  uint64_t source_row_count_ = 0; // of the command's tag
  bool is_first_ = true;
  bool has_trailer_ = false;
  bool is_finished_ = false;
};

} // namespace parallel_loader
