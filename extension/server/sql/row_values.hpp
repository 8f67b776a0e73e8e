// row_values: the values of one row of a result, each present or NULL.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

inline constexpr int kMaxRowValues = 16;

/// Values in the order of the function's OUT columns; text is copied into the current memory
/// context.
struct RowValues {
  Datum values[kMaxRowValues];
  bool nulls[kMaxRowValues];
  int count;
};

/// nullptr is NULL.
void row_values_add_text(RowValues *row, const char *text);
void row_values_add_bigint(RowValues *row, int64 value);
void row_values_add_integer(RowValues *row, int32 value);
void row_values_add_boolean(RowValues *row, bool value);
void row_values_add_oid(RowValues *row, Oid value);
void row_values_add_null(RowValues *row);

} // namespace parallel_loader
