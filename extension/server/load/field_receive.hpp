// field_receive: a table's columns as tuples hold them, and their types' own receive functions.
#pragma once

#include "extension/server/load/row_sink.hpp"

namespace parallel_loader {

/// A column by attribute number; dropped ones keep their place.
struct StoredColumn {
  const char *name;
  Oid type; // InvalidOid: dropped
  int16 length;
  uint8 alignment;
  bool is_packable; // may have a one-byte header
  int32 typmod;
  bool is_not_null;
  bool receives_null; // the receive function is called for NULL as well
  Oid element_type;   // of an array; InvalidOid: it is none
  int16 element_length;
  uint8 element_alignment;
};

struct FieldReceive; // lives in the memory context in which it was made

/// Describes the columns of a table that the caller has locked.  Raises 42883 when a column that
/// travels has no receive function.
FieldReceive *field_receive_begin(const RowSink *sink);

int field_receive_column_count(const FieldReceive *receive) noexcept;
const StoredColumn *field_receive_columns(const FieldReceive *receive) noexcept;

struct FieldBytes {
  const char *bytes; // of the value as tuples hold it; varlena: with a header of four bytes
  size_t size;
};

/// Calls the receive function of the column with that index; valid until the next call.  Raises
/// what it raises, and 22P03 when it leaves bytes over, with `row` and column as context.
FieldBytes field_receive(FieldReceive *receive, int column, const char *field, size_t size,
                         int64 row);
void field_receive_null(FieldReceive *receive, int column, int64 row);

} // namespace parallel_loader
