// copy_job: one chunk by the copy route: source stream → the server's COPY FROM → counts compared.
#pragma once

#include "core/column_map.hpp"
#include "core/connection.hpp"
#include "core/ledger.hpp"

#include "extension/boundary.hpp"
#include "extension/server/shared_pull.hpp"

#include <string>

namespace parallel_loader {

struct CopyJob {
  Oid table = InvalidOid;
  std::string statement; // COPY … TO STDOUT on the source
  const ColumnMap *columns = nullptr;
  std::string description; // for error contexts
};

/// Moves the rows of one chunk inside the current transaction.
///
/// Keeps the slot's counters, and heeds the pull's pause and rate.  Returns once the source has
/// said that the stream is complete, its row count equals what arrived, and the server has taken
/// every byte.  Rows that a trigger kept out are not counted. Throws Error (source), PgError
/// (destination), Stopped.
[[nodiscard]] ChunkResult run_copy_job(const CopyJob &job, Connection &source, SharedPull *pull,
                                       int slot);

} // namespace parallel_loader
