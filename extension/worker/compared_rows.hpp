// compared_rows: rows that may be in the local table already: what is new of them goes into it.
#pragma once

#include "core/connection/connection.hpp"
#include "core/plan/range.hpp"
#include "core/source/column_map.hpp"
#include "core/source/source_table.hpp"

#include "extension/server/base/postgres.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace parallel_loader {

struct ComparedRows {
  Oid table = InvalidOid; // locked by row_sink_check()
  const SourceTable &source_table;
  const ColumnMap &columns;
  const Key &key;          // the caller's, which is preferred if it is unique
  std::string description; // for error contexts
};

/// `stage` fills a temporary table of the local table's columns; what of it is not in the local
/// table by a unique key of the source goes there as COPY FROM does it, past rules.  Returns how
/// many. Throws Error 55000 when no unique key of the source tells rows apart here.
[[nodiscard]] int64_t copy_compared_rows(const ComparedRows &rows, Connection &source,
                                         const std::function<void(Oid staging)> &stage);

} // namespace parallel_loader
