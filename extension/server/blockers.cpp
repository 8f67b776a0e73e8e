// blockers: see blockers.hpp.
#include "extension/server/blockers.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
}

namespace parallel_loader {

List *add_blockers(List *pids, int pid) {
  const Datum blockers = DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid));
  ArrayType *array = DatumGetArrayTypeP(blockers);
  const int count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
  auto *values = reinterpret_cast<int32 *>(ARR_DATA_PTR(array));
  for (int index = 0; index < count; index++)
    pids = list_append_unique_int(pids, values[index]);
  return pids;
}

} // namespace parallel_loader
