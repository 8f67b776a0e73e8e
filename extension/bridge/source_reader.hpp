// source_reader: a worker's or coordinator's session on the source.
#pragma once

#include "core/source/column_map.hpp"
#include "core/source/column_shape.hpp"
#include "core/source/source_relations.hpp"
#include "core/source/source_session.hpp"
#include "core/source/source_table.hpp"

#include "extension/bridge/request.hpp"

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

/// The error of an unknown zone; `why` is a sentence that says what it is needed for.
[[nodiscard]] Error unknown_timezone(const std::string &zone, const std::string &why);

/// The application_name of a worker's session.
[[nodiscard]] inline std::string worker_session_name(int64_t pull_id) {
  return "parallel_loader worker of pull " + std::to_string(pull_id);
}

/// Connects and begins the transaction on `snapshot`, where it is (without a name: on a new one, on
/// a server that the address names).  `role` is how the session names itself to the source.  Closes
/// the session as it goes.
class SourceReader {
public:
  SourceReader(const Request &request, const SourceAddress &address, const HeldSnapshot &snapshot,
               std::string_view role, Waiter &waiter);

  [[nodiscard]] SourceSession &session() noexcept { return session_; }

  /// Exports the snapshot, the first time; the lock with that key proves it.  All locks that are
  /// taken on tables from then on can be released, the snapshot stays.
  const HeldSnapshot &hold_snapshot(int64_t lock);
  [[nodiscard]] bool holds_snapshot() const noexcept { return held_.has_value(); }
  /// After an error, too.  Needs hold_snapshot before.
  void release_locks();

  /// In a session that does not export its snapshot: what follows can be taken back by begin_anew.
  void allow_anew();
  /// Takes back all locks and settings since then, or since hold_snapshot.
  void begin_anew();
  /// The same, for a pull whose caller has this date field order.
  void begin_anew(const std::string &date_order);

  /// Reads and writes times in the caller's zone from now on, where that can matter: bounds, filter
  /// and window need it, rows that travel as text get it if the source knows it.  UTC before, and
  /// elsewhere.  Throws Error 22023 when the source does not know a zone that is needed.
  void set_timezone(const Request &request, Format format);
  /// Takes the caller's zone if the source knows it.
  [[nodiscard]] bool try_timezone(const Request &request);

  /// Looks the table up, and leaves no lock.  Throws as SourceTable::find does, and 55P03 as
  /// lock_relation does.
  [[nodiscard]] SourceTable find_table(const QualifiedName &name);

  /// True if the filter, beside the rows that it is evaluated for, reads the partitioned table
  /// itself, which the session has not locked yet: its parts are then no pull's of their own.
  [[nodiscard]] bool does_filter_read(const SourceTable &table, const FilterPath &path,
                                      const std::string &filter);

  /// Takes, until the transaction ends, the lock that reading the relation takes, and none on its
  /// indexes, and returns the types that COPY will find.  `from_item` stands in a FROM clause for
  /// `relation`.  Throws SourceChanged when that is not as the snapshot shows it, Error 55P03 when
  /// another session keeps the lock from us for long.
  Shape lock_relation(const std::string &from_item, const ExpectedRelation &relation,
                      const SourceShape &shape);
  /// The same for many at once, whose columns do not matter.
  void lock_relations(std::span<const ExpectedRelation> relations);
  /// Takes the locks that reading `table` takes on all that it is made of, and their indexes;
  /// returns those relations.  Throws as lock_relation does.
  Shape lock_members(const SourceTable &table, const ColumnMap &columns);
  /// Takes the locks that reading by `filter` takes on what the filter reads beside the table, and
  /// returns those relations, as lines of part kFilterRelation.  Throws as require_readable_filter
  /// does, and SourceChanged when one is not as the snapshot shows it: emptied or rewritten,
  /// altered, joined by a partition or child, or a view that was replaced. `from_item` stands for
  /// the table, or for a part of it.
  Shape lock_filter(const SourceTable &table, const std::string &from_item, const FilterPath &path,
                    const std::string &filter);
  /// Throws SourceChanged when one of the relations that the session has locked is not as the
  /// snapshot shows it.  Connects once more where nothing else can tell.  Returns those relations.
  Shape require_locked_as_snapshot();
  /// Checks the right to read the columns.
  void require_rights(const SourceTable &table, const ColumnMap &columns);

private:
  template <class Fn> auto explain(const QualifiedName &name, Fn fn);
  void require_definitions_as_snapshot(const Shape &relations);

  ReservedDescriptor descriptor_;
  SourceSession session_;
  std::string date_order_; // of the session, and of what follows for another one like it
  SourceAddress address_;
  std::string role_;
  Waiter &waiter_;
  std::optional<HeldSnapshot> held_;
  bool is_in_callers_zone_ = false;
};

} // namespace parallel_loader
