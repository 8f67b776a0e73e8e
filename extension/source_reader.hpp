// source_reader: a worker's or coordinator's session on the source.
#pragma once

#include "core/column_map.hpp"
#include "core/source_session.hpp"
#include "core/source_table.hpp"

#include "extension/order.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace parallel_loader {

/// Counts the session's socket among the server's file descriptors while it lives.
class ReservedDescriptor {
public:
  /// Throws Error 53000 when the server has none left.
  ReservedDescriptor();
  ReservedDescriptor(const ReservedDescriptor &) = delete;
  ReservedDescriptor &operator=(const ReservedDescriptor &) = delete;
  ~ReservedDescriptor();
};

/// The application_name of a worker's session.
[[nodiscard]] inline std::string worker_session_name(int64_t pull_id) {
  return "parallel_loader worker of pull " + std::to_string(pull_id);
}

/// Connects and begins the transaction on `snapshot` (none: a new one).  `role` is how the session
/// names itself to the source.
class SourceReader {
public:
  SourceReader(const Order &order, const SourceAddress &address,
               const std::optional<std::string> &snapshot, std::string_view role, Waiter &waiter);

  [[nodiscard]] SourceSession &session() noexcept { return session_; }

  /// Looks the table up.  Throws as SourceTable::find does, and 55P03 as lock_table does.
  [[nodiscard]] SourceTable find_table(const QualifiedName &name);

  /// Takes, until the transaction ends, the lock that reading the table takes, and checks the right
  /// to read the columns.  Throws Error 55P03 when another session keeps the lock from us for long.
  void lock_table(const SourceTable &table, const ColumnMap &columns);

private:
  ReservedDescriptor descriptor_;
  std::string encoding_;
  SourceSession session_;
};

} // namespace parallel_loader
