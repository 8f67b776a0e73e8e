// staged_rows: rows of a query on this server go into a table by the server's COPY FROM.
#pragma once

#include "extension/server/load/row_sink.hpp"

namespace parallel_loader {

struct StagedCount {
  uint64 read;     // rows of the query
  uint64 inserted; // less those that a trigger kept out
};

/// Copies what `query` returns, columns in the sink's order and of its types, as COPY does it: by
/// triggers, defaults and partitions of the table, past its rules.  The query runs with the current
/// user's rights under the snapshot at its begin.  row_sink_check() has locked the table.  Memory
/// is bounded by a row and the parts that COPY FROM is given.
StagedCount staged_rows_copy(const RowSink *sink, const char *query);

} // namespace parallel_loader
