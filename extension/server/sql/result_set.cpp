#include "extension/server/sql/result_set.hpp"

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"
#include "nodes/execnodes.h"
#include "utils/tuplestore.h"
}

namespace parallel_loader {

static TupleDesc result_descriptor(FunctionCallInfo fcinfo) {
  TupleDesc descriptor;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
    elog(ERROR, "return type must be a row type");
  return descriptor;
}

// Written out, since the helper for it has another name in each of the versions 14, 15 and 16.
void result_set_begin(FunctionCallInfo fcinfo) {
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  if (result == nullptr || !IsA(result, ReturnSetInfo) ||
      (result->allowedModes & SFRM_Materialize) == 0) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("set-valued function called in context that cannot accept a set")));
  }
  const MemoryContext old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
  result->returnMode = SFRM_Materialize;
  result->setDesc = CreateTupleDescCopy(result_descriptor(fcinfo));
  result->setResult = tuplestore_begin_heap(true, false, work_mem);
  MemoryContextSwitchTo(old);
}

void result_set_put(FunctionCallInfo fcinfo, const Datum *values, int count) {
  result_set_put_nullable(fcinfo, values, static_cast<bool *>(palloc0(sizeof(bool) * count)));
}

void result_set_put_nullable(FunctionCallInfo fcinfo, const Datum *values, const bool *nulls) {
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  tuplestore_putvalues(result->setResult, result->setDesc, const_cast<Datum *>(values),
                       const_cast<bool *>(nulls));
}

Datum result_row(FunctionCallInfo fcinfo, const Datum *values, int count) {
  return result_row_nullable(fcinfo, values, static_cast<bool *>(palloc0(sizeof(bool) * count)));
}

Datum result_row_nullable(FunctionCallInfo fcinfo, const Datum *values, const bool *nulls) {
  return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(result_descriptor(fcinfo)),
                                           const_cast<Datum *>(values), const_cast<bool *>(nulls)));
}

} // namespace parallel_loader
