#include "extension/server/sql/row_values.hpp"

extern "C" {
#include "utils/builtins.h"
}

namespace parallel_loader {

static void add(RowValues *row, Datum value, bool is_null) {
  if (row->count >= kMaxRowValues)
    elog(ERROR, "too many values for a row");
  row->values[row->count] = value;
  row->nulls[row->count++] = is_null;
}

void row_values_add_text(RowValues *row, const char *text) {
  add(row, text == nullptr ? Datum(0) : CStringGetTextDatum(text), text == nullptr);
}

void row_values_add_bigint(RowValues *row, int64 value) {
  add(row, Int64GetDatum(value), false);
}

void row_values_add_integer(RowValues *row, int32 value) {
  add(row, Int32GetDatum(value), false);
}

void row_values_add_boolean(RowValues *row, bool value) {
  add(row, BoolGetDatum(value), false);
}

void row_values_add_oid(RowValues *row, Oid value) {
  add(row, ObjectIdGetDatum(value), false);
}

void row_values_add_null(RowValues *row) {
  add(row, Datum(0), true);
}

} // namespace parallel_loader
