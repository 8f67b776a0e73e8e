// intake: bounds what the other side of a session can make this process read and keep.
#pragma once

#include "core/base/pure.hpp"

#include <cstddef>
#include <cstdint>

namespace parallel_loader {

/// Counts the bytes that libpq takes off a socket, as libpq itself keeps whatever comes: a message
/// of any size until it is whole, and every parameter that a server reports.  Whoever reads calls
/// before() and after() around each reading, and add() for each row that came out of it; what is
/// not rows adds up.
class Intake {
public:
  /// Rows of the answer to a statement of ours are no larger.
  static constexpr uint64_t kMostMessageBytes = 16 << 20;
  /// A server sends no larger row by COPY, and no larger value.
  static constexpr uint64_t kMostCopyRowBytes = (1ULL << 30) + (16 << 20);
  /// Of a session: notices, parameters, notifications.
  static constexpr uint64_t kMostOtherBytes = 32 << 20;

  void before(int fd) noexcept;
  void after(int fd) noexcept;

  void begin_statement() noexcept;
  /// A row, or the description of one, has come whole.
  void add(size_t bytes, size_t column_count) noexcept;
  /// As add, of the rows of a COPY, on a session that may be encrypted: that costs bytes, too.
  void add_copy_row(size_t bytes, bool is_encrypted) noexcept;

  /// Throw Error 54000 when more than a row has come since the last one; when the session has
  /// brought more than it may that is not rows.
  void require_message_size() const;
  void require_copy_row_size() const;
  void require_few_others() const;

private:
  [[nodiscard]] uint64_t since_row() const noexcept { return total_ - row_mark_; }

  uint64_t total_ = 0;     // bytes that libpq has taken
  uint64_t waiting_ = 0;   // in the kernel, before a reading
  uint64_t row_mark_ = 0;  // total_ when the last row had come
  uint64_t row_bytes_ = 0; // bytes of rows, and what belongs to them
  uint64_t largest_ = 0;   // row; libpq's buffer stays that large, and may hold others
};

} // namespace parallel_loader
