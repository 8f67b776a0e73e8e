// copy_from: the server's own COPY FROM, fed by a callback, with all that COPY's caller has to do.
#pragma once

#include "extension/server/load/row_sink.hpp"

namespace parallel_loader {

/// Fills `buffer` with up to `maximum` bytes of COPY data; 0 ends the stream.
using CopySource = int (*)(void *buffer, int minimum, int maximum);

/// Runs one COPY FROM until `source` ends; returns the rows inserted.
/// Memory used for it is freed before it returns.
uint64 copy_from_run(const RowSink *sink, CopySource source);

/// True if a trigger may keep rows from being inserted, so that fewer arrive than were read.
bool copy_from_may_skip_rows(Oid table);

} // namespace parallel_loader
