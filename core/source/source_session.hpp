// source_session: one read-only transaction on the source, formats pinned, under one snapshot.
#pragma once

#include "core/base/error.hpp"
#include "core/connection/connection.hpp"
#include "core/source/filter_path.hpp"
#include "core/source/types.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// How values, bounds and filters are written and read on the source.
struct SourceFormats {
  std::string encoding;        // the destination database's encoding, for example UTF8
  std::string date_order;      // the caller's date field order: MDY, DMY or YMD
  TextCheck is_text = nullptr; // what is text in that encoding
};

/// From this version on a source looks by itself, each second, whether its client is there.
inline constexpr int kConnectionCheckSince = 140000;

enum class PasswordRule { kAny = 1, kMustBeUsed };

/// Which server a snapshot came from; a resume on another one is refused.
struct SourceIdentity {
  std::string system_identifier; // empty where the role may not read it
  std::string timeline;          // likewise
  std::string database;
  std::string lsn;
  bool is_standby = false;
};

/// Returns why the source `found` cannot be the one that was `recorded` earlier, or is an older
/// state of it; an empty string when nothing speaks against it.  What either side does not know is
/// not compared.
[[nodiscard]] std::string why_other_source(const SourceIdentity &recorded,
                                           const SourceIdentity &found);

/// Transactions of the source, by their 64-bit ids: those below `xmin` have all ended before the
/// snapshot was taken, those from `xmax` on began after it.
struct SnapshotBounds {
  int64_t xmin = 0;
  int64_t xmax = 0;
};

/// A snapshot that some session of the source holds.  Names of snapshots repeat after a restart and
/// on other servers, so each holder has an advisory lock with an unpredictable key from before its
/// export on: whoever finds it after the import is on the same server, in the same incarnation.
struct HeldSnapshot {
  std::string name;
  int64_t lock = 0;  // the key; 0: not known, as of a snapshot that the caller gave
  std::string state; // pg_current_snapshot() as the holder saw it; empty: not known
  SourcePlace place; // where the holder is
};

/// A snapshot that was to be imported is not there, or is another one of the same name: whoever
/// exported it has ended.
class SnapshotGone final : public Error {
public:
  using Error::Error;
};

/// A session on the source and its transaction; both end with it.
class SourceSession {
public:
  /// Connects.  With kMustBeUsed throws Error 2F003 unless the source asked for a password and got
  /// the one given (dblink's rule for users who are not superusers).
  [[nodiscard]] static SourceSession open(const ConnInfo &conninfo,
                                          std::string_view application_name, PasswordRule rule,
                                          Waiter &waiter);

  /// Connects to the server that holds `snapshot`: the place known, if `conninfo` names it, else
  /// each server that it names until one proves to be it, and begins there.  Throws as open() and
  /// begin() do.
  [[nodiscard]] static SourceSession open_on(const HeldSnapshot &snapshot, const ConnInfo &conninfo,
                                             std::string_view application_name, PasswordRule rule,
                                             const SourceFormats &formats, Waiter &waiter);

  /// Begins the transaction: REPEATABLE READ, READ ONLY, on `snapshot` when one is given, and sets,
  /// for this transaction only (poolers), every setting that changes what is read or cuts it short:
  /// formats, time-outs, row_security off, search_path empty, TimeZone UTC.  Throws Error with the
  /// source's SQLSTATE, SnapshotGone when the snapshot cannot be imported, or its holder not be
  /// found.
  void begin(const SourceFormats &formats, const std::optional<HeldSnapshot> &snapshot);

  /// Reads and writes times in that zone from now on; false, with nothing changed, when the source
  /// does not know it.
  [[nodiscard]] bool set_timezone(const std::string &zone);

  /// The schemas in which a new session of the role finds names, pg_catalog among them.
  [[nodiscard]] const std::vector<std::string> &search_path();
  /// The same as a filter's path, as the role has set it.
  [[nodiscard]] const FilterPath &filter_path();

  /// Lets statements from now on wait for locks without limit.  Before, they give up with 55P03
  /// after three seconds: an ALTER TABLE that queues up between two of our sessions waits for the
  /// one and is waited for by the other, which no server can see.  After the table is locked, it
  /// cannot.
  void release_lock_timeout();
  /// From now on they give up after three seconds again.
  void limit_lock_timeout();

  /// Takes the lock with that key, which proves this session to those who import, and exports the
  /// transaction's snapshot (pg_export_snapshot).
  [[nodiscard]] HeldSnapshot export_snapshot(int64_t lock);
  /// As it was when it was first asked for in this transaction.
  [[nodiscard]] const SourceIdentity &identity();
  [[nodiscard]] SnapshotBounds snapshot_bounds();

  /// The types of all columns of a table of the source, as the snapshot shows them.
  template <class Column>
  [[nodiscard]] const Types &column_types(const std::vector<Column> &columns) {
    return types_.load(connection_, parallel_loader::column_types(columns));
  }

  /// Commits, which lets the snapshot go.
  void end();

  [[nodiscard]] Connection &connection() noexcept { return connection_; }

private:
  explicit SourceSession(Connection connection) : connection_(std::move(connection)) {}

  Connection connection_;
  void import_snapshot(const std::string &name);
  void require_holder(const HeldSnapshot &snapshot);
  [[nodiscard]] std::string snapshot_expression() const;
  [[nodiscard]] SourceIdentity read_identity();

  void read_path();

  std::vector<std::string> search_path_;
  FilterPath filter_path_;
  TypeCache types_; // of this transaction, as is
  std::optional<SourceIdentity> identity_;
};

/// True if a holder of the snapshot with this lock is a session of the executor's own database.
[[nodiscard]] bool is_held_here(Executor &executor, int64_t lock);

} // namespace parallel_loader
