// append: the one chunk of an append: rows that are new since the mark, and the new mark.
#pragma once

#include "core/connection/connection.hpp"
#include "core/ledger/append_plan.hpp"
#include "core/ledger/ledger.hpp"
#include "core/plan/range.hpp"
#include "core/source/column_map.hpp"

#include "extension/bridge/request.hpp"
#include "extension/bridge/source_reader.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <string>

namespace parallel_loader {

struct AppendTask {
  const Request &request;
  const SourceTable &table;
  const ColumnMap &columns;
  const Key &key; // that a window is taken off; none where neither caller nor source has one
  std::string description;
  SourceReader &reader; // whose session reads the rows
  bool &is_copying;     // set when the first row is about to be read: until then it may be refused
};

/// Copies inside the current transaction what plan_append() calls new, and moves the mark.  Rows
/// that may be here already come into a temporary table first and are compared by a unique key of
/// the source.
///
/// The request's `window` bounds the scan to keys from the highest one seen, less the window, where
/// the mark knows it: a number for integer and numeric keys, an interval for date and time ones.
/// Throws Error 55000 when there is no mark and the local table is not empty, a younger pull of the
/// table is not finished, or rows would have to be compared without a unique key; 0A000 for a
/// source's relation that cannot be appended from, or a window on a key of another type; and what
/// move_rows throws.
[[nodiscard]] ChunkResult run_append(const AppendTask &task, Connection &source, SharedPull *pull,
                                     int slot);

} // namespace parallel_loader
