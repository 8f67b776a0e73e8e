// copy_from: the server's own COPY FROM, fed by a callback, with all that COPY's caller has to do.
#pragma once

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "parser/parse_node.h"
#include "utils/relcache.h"
}

namespace parallel_loader {

/// Fills `buffer` with up to `maximum` bytes of COPY data; 0 ends the stream.
using CopySource = int (*)(void *buffer, int minimum, int maximum);

struct CopyTarget {
  Oid table;
  bool is_binary;
  int column_count;
  const char *const *columns; // in stream order; none: the table has no column to fill
  const char *description;    // for error contexts: names table and chunk
};

/// True if the column travels.
bool copy_target_has_column(const CopyTarget *target, const char *name);

/// Locks the table until the transaction ends and checks what COPY checks before it reads a row:
/// kind, rights on each column, row security, read-only transaction.  Raises COPY's own errors.
void copy_from_check(const CopyTarget *target);

/// The parse state that COPY's own code wants: the opened relation alone in it, with the right to
/// insert into the columns checked.
ParseState *copy_from_parse_state(Relation rel, const CopyTarget *target);

/// Runs one COPY FROM until `source` ends; returns the rows inserted.
/// Memory used for it is freed before it returns.
uint64 copy_from_run(const CopyTarget *target, CopySource source);

/// True if a trigger may keep rows from being inserted, so that fewer arrive than were read.
bool copy_from_may_skip_rows(Oid table);

} // namespace parallel_loader
