// heap_rows: SQL function of the tests that gives rows of binary COPY to the heap route.
#include "extension/bridge/boundary.hpp"
#include "extension/server/sql/arguments.hpp"
#include "extension/worker/heap_route.hpp"
#include "extension/worker/route.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(heap_rows);
}

namespace parallel_loader {

namespace {

struct RowsArgument {
  RowSink sink;
  int row_count;
  Datum *rows; // bytea
};

// What lives as long as a chunk in a worker lives as long as one call here.
RowsArgument read_arguments(FunctionCallInfo fcinfo) {
  MemoryContextSwitchTo(
      AllocSetContextCreate(CurTransactionContext, "heap_rows", ALLOCSET_DEFAULT_SIZES));
  const TextArray columns = argument_text_array(fcinfo, 1);
  RowsArgument argument = {
      {PG_GETARG_OID(0), true, columns.count, columns.values, "rows of a test"}, 0, nullptr};
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), BYTEAOID, -1, false, TYPALIGN_INT, &argument.rows,
                    nullptr, &argument.row_count);
  row_sink_check(&argument.sink);
  return argument;
}

std::string_view row_bytes(Datum row) {
  const auto *value = reinterpret_cast<const struct varlena *>(DatumGetPointer(row));
  return {VARDATA_ANY(value), static_cast<size_t>(VARSIZE_ANY_EXHDR(value))};
}

int64 write_rows(FunctionCallInfo fcinfo) {
  const MemoryContext caller = CurrentMemoryContext;
  const RowsArgument argument = call([&]() noexcept { return read_arguments(fcinfo); });
  static_cast<void>(choose_route(argument.sink, RouteSetting::kHeap));
  HeapWriter writer(argument.sink);
  for (int index = 0; index < argument.row_count; index++)
    writer.add(row_bytes(argument.rows[index]));
  writer.end();
  call([&]() noexcept { MemoryContextDelete(MemoryContextSwitchTo(caller)); });
  return writer.inserted();
}

} // namespace

} // namespace parallel_loader

/// heap_rows("table" regclass, columns text[], rows bytea[]) returns bigint: inserts rows as they
/// are in a binary COPY stream, between its header and its trailer; returns how many.
Datum heap_rows(PG_FUNCTION_ARGS) {
  PG_RETURN_INT64(parallel_loader::entry([&] { return parallel_loader::write_rows(fcinfo); }));
}
