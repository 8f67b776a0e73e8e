// route: rows of one COPY on the source go into a local table, by the route that is right for it.
#pragma once

#include "core/connection/connection.hpp"
#include "core/ledger/ledger.hpp"
#include "core/source/column_map.hpp"

#include "extension/bridge/request.hpp"
#include "extension/server/load/row_sink.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// What is to be moved: the rows of one COPY on the source.
struct RowTask {
  Oid table = InvalidOid;
  std::string statement; // COPY … TO STDOUT on the source
  const ColumnMap *columns = nullptr;
  std::string description; // for error contexts
  RouteSetting route = RouteSetting::kAuto;
  FilterPath filter_path = {}; // of the filter in the statement, if it has one
};

/// Moves the rows inside the current transaction.
///
/// Keeps the slot's counters, and heeds the pull's pause and rate.  Returns once the source has
/// said that the stream is complete, its row count equals what arrived, and the table has taken
/// every row.  Rows that a trigger kept out are not counted.  Throws Error (source), PgError
/// (destination), Stopped.
[[nodiscard]] ChunkResult move_rows(const RowTask &task, Connection &source, SharedPull *pull,
                                    int slot);

/// A column map in the form that the server's side takes.
class SinkColumns {
public:
  explicit SinkColumns(const ColumnMap &map);

  /// `description` is for error contexts.  Valid as long as this, the map and `description` live.
  [[nodiscard]] RowSink sink(Oid table, const char *description) const;

private:
  std::vector<const char *> names_;
  bool is_binary_;
};

struct RouteChoice {
  bool is_heap = false;
  std::string reason; // why not the heap route; empty when it is
  [[nodiscard]] std::string_view name() const noexcept { return is_heap ? "heap" : "copy"; }
};

/// The route of one chunk into a table that the caller has locked, or would have.
/// Throws Error 0A000 when the setting asks for the heap route where it is not possible.
[[nodiscard]] RouteChoice choose_route(const RowSink &sink, RouteSetting setting);

/// Says what a worker has in flight, and keeps it to the pull's pause and rate.
class RowMeter {
public:
  RowMeter(SharedPull *pull, int slot) : pull_(pull), slot_(pull->slots[slot]) {}

  /// Shows the chunk's rows and bytes so far, of which `size` bytes are new, and waits as pause and
  /// rate want it.  Throws Stopped.
  void pass(int64_t rows, int64_t bytes, int64_t size);

private:
  SharedPull *pull_;
  WorkerSlot &slot_;
};

} // namespace parallel_loader
