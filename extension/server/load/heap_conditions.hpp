// heap_conditions: whether a table's rows may be written as heap tuples, past COPY FROM.
#pragma once

#include "extension/server/load/row_sink.hpp"

namespace parallel_loader {

/// Returns nullptr when heap_insert does to the rows all that COPY FROM would do to them, else the
/// reason why it does not, in the current memory context: "the table has …".  The answer holds as
/// long as the caller keeps a lock on the table.
const char *why_not_heap_route(const RowSink *sink);

} // namespace parallel_loader
