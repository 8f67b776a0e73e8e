// key_column: what the local catalogue says of a column by which rows are compared.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

struct KeyColumnInfo {
  Oid type; // below any domains
  int32 modifier;
  const char *type_schema;
  const char *type_name;
  const char *display; // of the column's own type
  bool is_deterministic;
  const char *equals_schema; // nullptr: the type has no default equality
  const char *equals;
};

/// Raises 42703 when the table has no such column.  In the current memory context.
KeyColumnInfo key_column_describe(Oid table, const char *column);

} // namespace parallel_loader
