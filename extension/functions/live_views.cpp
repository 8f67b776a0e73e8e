// live_views: what the views show of pulls that run now, from shared memory.
#include "core/ledger/ledger.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "extension/bridge/boundary.hpp"

#include "extension/bridge/spi_executor.hpp"
#include "extension/functions/waiting_text.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/server/shared/worker_slots.hpp"
#include "extension/server/sql/result_set.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(parallel_loader_live_progress);
PG_FUNCTION_INFO_V1(parallel_loader_live_chunks);
PG_FUNCTION_INFO_V1(parallel_loader_current_pull);
PG_FUNCTION_INFO_V1(parallel_loader_live_coordinators);
}

namespace parallel_loader {

namespace {

Datum text_datum(const std::string &text) {
  return call([&]() noexcept { return CStringGetTextDatum(text.c_str()); });
}

using TotalsOfPulls = std::map<int64_t, Ledger::Totals>;

// In a run of several pulls the counts in shared memory are those of all: the ledger has what is
// done of each, and the slots what is in flight.
void add_in_flight(SharedPull *run, int64_t pull_id, PullProgress &now, const PullCounts &counts) {
  const double ratio = counts.estimate_done > 0
                           ? static_cast<double>(std::max<int64_t>(counts.bytes, 1)) /
                                 static_cast<double>(counts.estimate_done)
                           : 1;
  double done = static_cast<double>(counts.estimate_done);
  for (WorkerSlot &slot : run->slots) {
    if (pg_atomic_read_u32(&slot.state) != kSlotRunning || pg_atomic_read_u32(&slot.chunk) == 0 ||
        slot.pull_id != pull_id)
      continue;
    const auto bytes = static_cast<int64>(pg_atomic_read_u64(&slot.bytes));
    now.rows += static_cast<int64>(pg_atomic_read_u64(&slot.rows));
    now.bytes += bytes;
    now.workers++;
    done += std::min(static_cast<double>(slot.estimate), static_cast<double>(bytes) / ratio);
  }
  now.fraction =
      counts.chunks == counts.chunks_done
          ? 1
          : std::min(1.0, done / static_cast<double>(std::max<int64_t>(counts.estimate_all, 1)));
}

void measure(SharedPull *pull, int64_t pull_id, const TotalsOfPulls &totals, PullProgress &now,
             PullCounts &counts) {
  const auto own = totals.find(pull_id);
  if (!pull->is_run || pg_atomic_read_u32(&pull->pull_count) <= 1) {
    now = worker_slots_progress(pull);
    counts = worker_slots_counts(pull);
    return;
  }
  now = {};
  counts = {};
  if (own != totals.end()) {
    counts.rows = now.rows = own->second.row_count;
    counts.bytes = now.bytes = own->second.byte_count;
    counts.chunks = own->second.chunk_count;
    counts.chunks_done = own->second.done_count;
    counts.retries = own->second.retry_count;
    counts.estimate_all = own->second.estimate_all;
    counts.estimate_done = own->second.estimate_done;
  }
  add_in_flight(pull, pull_id, now, counts);
}

void put_progress(FunctionCallInfo fcinfo, const FoundPull &found, const TotalsOfPulls &totals) {
  const AttachedPull attached(found);
  SharedPull *pull = attached.get();
  if (pull == nullptr)
    return;
  PullProgress now = {};
  PullCounts counts = {};
  measure(pull, found.pull_id, totals, now, counts);
  const std::string waiting_for = waiting_text(found, pull);
  // Without a rate there is no time to the end.
  const double rate =
      stands_still(pull) ? 0 : static_cast<double>(pg_atomic_read_u64(&pull->bytes_per_second));
  const uint64 max_rate = pg_atomic_read_u64(&pull->max_rate);
  const Datum values[] = {Int64GetDatum(found.pull_id),
                          Int64GetDatum(now.rows),
                          Int64GetDatum(now.bytes),
                          Int32GetDatum(counts.chunks),
                          Int32GetDatum(counts.chunks_done),
                          Int32GetDatum(counts.retries),
                          Int32GetDatum(now.workers),
                          Float8GetDatum(now.fraction),
                          Float8GetDatum(rate),
                          TimestampTzGetDatum(pull->snapshot_taken),
                          Int32GetDatum(static_cast<int32>(max_rate / 1024)),
                          text_datum(waiting_for)};
  bool nulls[lengthof(values)] = {};
  nulls[9] = pull->snapshot_taken == 0;
  nulls[10] = max_rate == 0;
  nulls[11] = waiting_for.empty();
  call([&]() noexcept { result_set_put_nullable(fcinfo, values, nulls); });
}

std::vector<int64_t> pulls_of_runs(const std::vector<FoundPull> &pulls) {
  std::vector<int64_t> ids;
  for (const FoundPull &found : pulls)
    if (found.coordinator < 0)
      ids.push_back(found.pull_id);
  return ids;
}

void put_chunks(FunctionCallInfo fcinfo, const FoundPull &found) {
  const AttachedPull attached(found);
  if (attached.get() == nullptr)
    return;
  for (WorkerSlot &slot : attached.get()->slots) {
    if (attached.get()->is_run && slot.pull_id != found.pull_id)
      continue;
    const uint32 chunk = pg_atomic_read_u32(&slot.chunk);
    if (pg_atomic_read_u32(&slot.state) != kSlotRunning || chunk == 0)
      continue;
    const Datum values[] = {Int64GetDatum(found.pull_id),
                            Int32GetDatum(static_cast<int32>(chunk)),
                            Int32GetDatum(slot.pid),
                            Int64GetDatum(static_cast<int64>(pg_atomic_read_u64(&slot.rows))),
                            Int64GetDatum(static_cast<int64>(pg_atomic_read_u64(&slot.bytes))),
                            TimestampTzGetDatum(slot.begun_at)};
    call([&]() noexcept { result_set_put(fcinfo, values, lengthof(values)); });
  }
}

// Until when the coordinator stays if nobody works on the pull, or resumes it; 0: it ends by
// itself.
TimestampTz coordinator_end(SharedPull *pull) {
  if (const auto hold_ends = static_cast<TimestampTz>(pg_atomic_read_u64(&pull->hold_ends)))
    return hold_ends;
  return given_up_at(pull);
}

void put_coordinator(FunctionCallInfo fcinfo, const FoundPull &found) {
  const AttachedPull attached(found);
  SharedPull *pull = attached.get();
  const TimestampTz taken = pull != nullptr ? pull->snapshot_taken : 0;
  const TimestampTz ends = pull != nullptr ? coordinator_end(pull) : 0;
  const Datum values[] = {Int64GetDatum(found.coordinator), Int32GetDatum(found.coordinator_pid),
                          TimestampTzGetDatum(taken), TimestampTzGetDatum(ends)};
  const bool nulls[] = {false, false, taken == 0, ends == 0};
  call([&]() noexcept { result_set_put_nullable(fcinfo, values, nulls); });
}

} // namespace

} // namespace parallel_loader

using namespace parallel_loader;

Datum parallel_loader_live_progress(PG_FUNCTION_ARGS) {
  return entry([&] {
    call([&]() noexcept { result_set_begin(fcinfo); });
    const std::vector<FoundPull> pulls = find_live_pulls();
    TotalsOfPulls totals;
    {
      SpiExecutor executor(SpiMode::kReadLatest);
      totals = Ledger(executor).totals_of_runs(pulls_of_runs(pulls));
    }
    for (const FoundPull &found : pulls)
      put_progress(fcinfo, found, totals);
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

Datum parallel_loader_live_coordinators(PG_FUNCTION_ARGS) {
  return entry([&] {
    call([&]() noexcept { result_set_begin(fcinfo); });
    for (const FoundPull &found : find_coordinators())
      put_coordinator(fcinfo, found);
    return Datum(0);
  });
}

Datum parallel_loader_current_pull(PG_FUNCTION_ARGS) {
  return entry([&] {
    const FoundPull found = find_pull(PG_GETARG_INT64(0));
    SpiExecutor executor(SpiMode::kReadLatest);
    const Ledger::Totals totals = Ledger(executor).totals(found.pull_id);
    const Ledger::Ending ending =
        has_ended(found.state) ? Ledger(executor).ending(found.pull_id) : Ledger::Ending();
    const PullError &error = ending.error;
    const Datum values[] = {text_datum(std::string(state_name(found.state))),
                            Int64GetDatum(totals.row_count),
                            Int64GetDatum(totals.byte_count),
                            Int32GetDatum(totals.done_count),
                            Int32GetDatum(totals.retry_count),
                            TimestampTzGetDatum(ending.finished.value_or(0)),
                            text_datum(error.sqlstate),
                            text_datum(error.message),
                            text_datum(error.detail),
                            text_datum(error.hint)};
    const bool nulls[] = {false,
                          false,
                          false,
                          false,
                          false,
                          !ending.finished,
                          error.sqlstate.empty(),
                          error.message.empty(),
                          error.detail.empty(),
                          error.hint.empty()};
    return call([&]() noexcept { return result_row_nullable(fcinfo, values, nulls); });
  });
}
