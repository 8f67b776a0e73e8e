// row_sink: the local table that a chunk's rows go into, and those of its columns that travel.
#pragma once

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "parser/parse_node.h"
#include "utils/relcache.h"
}

namespace parallel_loader {

struct RowSink {
  Oid table;
  bool is_binary;
  int column_count;
  const char *const *columns; // in stream order; none: the table has no column to fill
  const char *description;    // for error contexts: names table and chunk
};

/// True if the column travels.
bool row_sink_has_column(const RowSink *sink, const char *name);

/// The names of the columns, as COPY's own code takes them.
List *row_sink_column_list(const RowSink *sink);

/// Locks the table until the transaction ends and checks what COPY checks before it reads a row:
/// kind, rights on each column, row security, read-only transaction.  Raises COPY's own errors.
void row_sink_check(const RowSink *sink);

/// The parse state that COPY's own code wants: the opened relation alone in it, with the right to
/// insert into the columns checked.
ParseState *row_sink_parse_state(Relation rel, const RowSink *sink);

} // namespace parallel_loader
