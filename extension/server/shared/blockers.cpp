#include "extension/server/shared/blockers.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/wait_event.h"
}

namespace parallel_loader {

int own_process_number() {
  return static_cast<int>(MyProc - ProcGlobal->allProcs);
}

static bool is_lock_wait(const PGPROC *proc) {
  constexpr uint32 kClassMask = 0xFF000000;
  return (proc->wait_event_info & kClassMask) == PG_WAIT_LOCK;
}

bool waits_for_lock(int process_number, int pid) {
  if (pid == 0 || process_number < 0 ||
      static_cast<uint32>(process_number) >= ProcGlobal->allProcCount)
    return false;
  const PGPROC *proc = &ProcGlobal->allProcs[process_number];
  return proc->pid == pid && is_lock_wait(proc);
}

// pg_blocking_pids looks at all locks of the server, so it is asked about waiting processes alone.
List *add_blockers(List *pids, int pid) {
  const PGPROC *proc = BackendPidGetProc(pid);
  if (proc == nullptr || !is_lock_wait(proc))
    return pids;
  const Datum blockers = DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid));
  ArrayType *array = DatumGetArrayTypeP(blockers);
  const int count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
  auto *values = reinterpret_cast<int32 *>(ARR_DATA_PTR(array));
  for (int index = 0; index < count; index++)
    pids = list_append_unique_int(pids, values[index]);
  return pids;
}

} // namespace parallel_loader
