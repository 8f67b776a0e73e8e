// row_job: rows of one COPY on the source go into a local table, by one of the routes.
#pragma once

#include "core/connection/connection.hpp"
#include "core/ledger/ledger.hpp"
#include "core/source/column_map.hpp"

#include "extension/bridge/order.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <string>

namespace parallel_loader {

struct RowJob {
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
/// every row.  Rows that a trigger kept out are not counted. Throws Error (source), PgError
/// (destination), Stopped.
[[nodiscard]] ChunkResult run_row_job(const RowJob &job, Connection &source, SharedPull *pull,
                                      int slot);

} // namespace parallel_loader
