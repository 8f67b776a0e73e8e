// live_views: what the views show of pulls that run now, from shared memory.
#include "extension/boundary.hpp"
#include "extension/pull_lookup.hpp"
#include "extension/server/result_set.hpp"

extern "C" {
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(parallel_loader_live_pulls);
PG_FUNCTION_INFO_V1(parallel_loader_live_chunks);
PG_FUNCTION_INFO_V1(parallel_loader_current_state);
}

namespace parallel_loader {

namespace {

struct InFlight {
  int64 rows = 0;
  int64 bytes = 0;
  int workers = 0;
};

InFlight sum_slots(SharedPull *pull) {
  InFlight sum;
  for (WorkerSlot &slot : pull->slots) {
    if (pg_atomic_read_u32(&slot.state) == kSlotRunning) {
      sum.rows += static_cast<int64>(pg_atomic_read_u64(&slot.rows));
      sum.bytes += static_cast<int64>(pg_atomic_read_u64(&slot.bytes));
      sum.workers++;
    }
  }
  return sum;
}

void put_pull(FunctionCallInfo fcinfo, const FoundPull &found) {
  const AttachedPull attached(found);
  const InFlight sum = attached.get() != nullptr ? sum_slots(attached.get()) : InFlight();
  const Datum values[] = {Int64GetDatum(found.pull_id), Int64GetDatum(sum.rows),
                          Int64GetDatum(sum.bytes), Int32GetDatum(sum.workers)};
  call([&]() noexcept { result_set_put(fcinfo, values, lengthof(values)); });
}

void put_chunks(FunctionCallInfo fcinfo, const FoundPull &found) {
  const AttachedPull attached(found);
  if (attached.get() == nullptr)
    return;
  for (WorkerSlot &slot : attached.get()->slots) {
    const uint32 chunk = pg_atomic_read_u32(&slot.chunk);
    if (pg_atomic_read_u32(&slot.state) != kSlotRunning || chunk == 0)
      continue;
    const Datum values[] = {Int64GetDatum(found.pull_id), Int32GetDatum(static_cast<int32>(chunk)),
                            Int32GetDatum(slot.pid),
                            Int64GetDatum(static_cast<int64>(pg_atomic_read_u64(&slot.rows))),
                            Int64GetDatum(static_cast<int64>(pg_atomic_read_u64(&slot.bytes)))};
    call([&]() noexcept { result_set_put(fcinfo, values, lengthof(values)); });
  }
}

} // namespace

} // namespace parallel_loader

using namespace parallel_loader;

Datum parallel_loader_live_pulls(PG_FUNCTION_ARGS) {
  return entry([&] {
    call([&]() noexcept { result_set_begin(fcinfo); });
    for (const FoundPull &found : find_live_pulls())
      put_pull(fcinfo, found);
    return Datum(0);
  });
}

Datum parallel_loader_live_chunks(PG_FUNCTION_ARGS) {
  return entry([&] {
    call([&]() noexcept { result_set_begin(fcinfo); });
    for (const FoundPull &found : find_live_pulls())
      put_chunks(fcinfo, found);
    return Datum(0);
  });
}

Datum parallel_loader_current_state(PG_FUNCTION_ARGS) {
  return entry([&] {
    const std::string state = find_pull(PG_GETARG_INT64(0)).state;
    return call([&]() noexcept { return CStringGetTextDatum(state.c_str()); });
  });
}
