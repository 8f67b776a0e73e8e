// result_set: rows of our set-returning functions, and single result rows.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// Makes the function return a materialized set of its OUT columns.
void result_set_begin(FunctionCallInfo fcinfo);
/// Adds a row without NULLs.
void result_set_put(FunctionCallInfo fcinfo, const Datum *values, int count);
/// Adds a row; `nulls` says which values are NULL.
void result_set_put_nullable(FunctionCallInfo fcinfo, const Datum *values, const bool *nulls);

/// A single row without NULLs, for a function that returns a record.
Datum result_row(FunctionCallInfo fcinfo, const Datum *values, int count);
/// The same; `nulls` says which values are NULL.
Datum result_row_nullable(FunctionCallInfo fcinfo, const Datum *values, const bool *nulls);

} // namespace parallel_loader
