// heap_insert: tuples that are ready go into a plain heap table, a batch at a time.
#pragma once

#include "extension/server/load/row_sink.hpp"

namespace parallel_loader {

struct HeapInsert; // one chunk's state; lives in the transaction's memory

/// A tuple as it lies in memory; its header needs no transaction in it.
struct HeapImage {
  char *bytes; // MAXALIGNed
  uint32 length;
  bool breaks_not_null; // a column that is declared NOT NULL is null
};

inline constexpr int kHeapBatchRows = 1000;

/// Begins to insert into a table that row_sink_check() has locked and checked, and that
/// why_not_heap_route() has passed.  `sink` must live until heap_insert_end().
HeapInsert *heap_insert_begin(const RowSink *sink);

/// Inserts up to kHeapBatchRows tuples, as COPY FROM does: constraints, TOAST, indexes, WAL.
/// Raises what COPY FROM would raise.
void heap_insert_batch(HeapInsert *insert, const HeapImage *images, int count);

/// Must be called before the transaction commits; not after an error.
void heap_insert_end(HeapInsert *insert);

} // namespace parallel_loader
