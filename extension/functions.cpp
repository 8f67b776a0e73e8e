// functions: the SQL functions that begin, join, watch and end pulls.
#include "extension/boundary.hpp"
#include "extension/pull_arguments.hpp"
#include "extension/pull_lookup.hpp"
#include "extension/server/leader.hpp"
#include "extension/server/lock_trap.hpp"
#include "extension/server/result_set.hpp"
#include "extension/server/settings.hpp"
#include "extension/server/work_session.hpp"
#include "extension/source_address.hpp"
#include "extension/spi_executor.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

PG_FUNCTION_INFO_V1(parallel_pull);
PG_FUNCTION_INFO_V1(parallel_pull_start);
PG_FUNCTION_INFO_V1(parallel_pull_create);
PG_FUNCTION_INFO_V1(parallel_pull_work);
PG_FUNCTION_INFO_V1(parallel_pull_wait);
PG_FUNCTION_INFO_V1(parallel_pull_cancel);
}

namespace parallel_loader {

namespace {

constexpr ArgumentLayout kPullLayout = {.start = 2,
                                        .end = 3,
                                        .key = 4,
                                        .source_table = 5,
                                        .columns = 6,
                                        .filter = 7,
                                        .workers = 8,
                                        .format = 9,
                                        .snapshot = 10};
constexpr ArgumentLayout kStartLayout = {.key = 2,
                                         .source_table = 3,
                                         .columns = 4,
                                         .filter = 5,
                                         .workers = 6,
                                         .format = 7,
                                         .snapshot = 8,
                                         .chunk_size = 9};
constexpr ArgumentLayout kCreateLayout = [] {
  ArgumentLayout layout = kStartLayout;
  layout.run_id = 10;
  return layout;
}();

constexpr int64 kLookAgainMs = 50;

Leader start(const Order &order) {
  const std::string bytes = serialize_order(order);
  const Oid table = order.request.table;
  return call([&]() noexcept { return leader_start(table, bytes.data(), bytes.size()); });
}

// Starts a pull that goes on by itself, and returns its id once it has reached `phase`.
int64 start_and_leave(const Order &order, PullPhase phase) {
  Leader leader = start(order);
  return call([&]() noexcept {
    leader_wait(&leader, phase);
    int64 const pull_id = leader.pull->pull_id;
    leader_release(&leader);
    return pull_id;
  });
}

int64 pull_and_wait(const Order &order) {
  Leader leader = start(order);
  return call([&]() noexcept {
    leader_wait(&leader, kPhasePlanned);
    leader_report_workers(static_cast<int>(pg_atomic_read_u32(&leader.pull->workers_started)),
                          static_cast<int>(pg_atomic_read_u32(&leader.pull->workers_wanted)));
    leader_wait(&leader, kPhaseEnded);
    const auto row_count = static_cast<int64>(pg_atomic_read_u64(&leader.pull->rows_done));
    leader_release(&leader);
    return row_count;
  });
}

void require_joinable(const FoundPull &found) {
  if (!found.is_live) {
    throw Error("55000",
                "pull " + std::to_string(found.pull_id) + " cannot be joined: it is " + found.state,
                "", "Create another pull.");
  }
}

// The bytes of a source of the session's own, for its workers; empty for the pull's.
std::string serialize_source(const std::string &src_dsn) {
  return src_dsn.empty() ? std::string() : serialize_address(resolve_source(src_dsn).address);
}

WorkRequest read_work_request(FunctionCallInfo fcinfo) {
  const WorkRequest request = {argument_int(fcinfo, 2, 1), argument_int(fcinfo, 3, 0)};
  if (request.workers < 1 || request.workers > kMaxWorkers) {
    throw Error(sqlstate::kInvalidParameterValue,
                "\"workers\" must be between 1 and " + std::to_string(kMaxWorkers));
  }
  if (request.max_chunks < 0 || (!fcinfo->args[3].isnull && request.max_chunks == 0))
    throw Error(sqlstate::kInvalidParameterValue, "\"max_chunks\" must be at least 1");
  return request;
}

int64 pull_id_argument(FunctionCallInfo fcinfo) {
  if (fcinfo->args[0].isnull)
    throw Error("22004", "\"pull_id\" cannot be null");
  return argument_bigint(fcinfo, 0, 0);
}

WorkResult work(FunctionCallInfo fcinfo) {
  const char *given = call([&]() noexcept { return argument_text(fcinfo, 1); });
  const std::string src_dsn = given != nullptr ? given : "";
  hide_password(src_dsn);
  const WorkRequest request = read_work_request(fcinfo);
  const FoundPull found = find_pull(pull_id_argument(fcinfo));
  if (found.state == "done")
    return {};
  require_joinable(found);
  call([&]() noexcept { lock_trap_check_before_start(found.table); });
  const std::string address = serialize_source(src_dsn);
  const AttachedPull attached(found);
  if (attached.get() == nullptr) {
    require_joinable(find_pull(found.pull_id));
    return {};
  }
  WorkResult result = call([&]() noexcept {
    work_session_wait_for_plan(attached.get());
    return work_session_run(attached.segment(), attached.get(), &request, address.data(),
                            address.size());
  });
  result.remaining = find_pull(found.pull_id).chunks_left;
  if (result.remaining == 0)
    call([&]() noexcept { work_session_wait_for_end(attached.get()); });
  return result;
}

// A session that did not start the pull is not woken by it, so it looks again and again.
std::string wait_for(int64 pull_id, int64 timeout_ms) {
  const TimestampTz deadline =
      timeout_ms < 0 ? DT_NOEND : GetCurrentTimestamp() + timeout_ms * 1000;
  for (;;) {
    const FoundPull found = find_pull(pull_id);
    const int64 left_ms = (deadline - GetCurrentTimestamp()) / 1000;
    if (!found.is_live || left_ms <= 0)
      return found.state;
    const AttachedPull attached(found);
    if (attached.get() != nullptr) {
      call([&]() noexcept {
        leader_wait_turn(attached.get(), static_cast<long>(Min(left_ms, kLookAgainMs)));
      });
    }
  }
}

bool cancel(int64 pull_id) {
  const FoundPull found = find_pull(pull_id);
  const AttachedPull attached(found);
  if (attached.get() != nullptr) {
    return call([&]() noexcept {
      shared_pull_request_stop(attached.get(), kStopCancelled);
      return shared_pull_stop_reason(attached.get()) == kStopCancelled;
    });
  }
  if (found.state != "interrupted")
    return false;
  SpiExecutor executor(SpiMode::kWrite);
  Ledger(executor).end_pull(pull_id, PullEnd::kCancelled, "57014",
                            "canceling pull due to user request");
  return true;
}

} // namespace

} // namespace parallel_loader

using namespace parallel_loader;

void _PG_init(void) {
  settings_define();
}

Datum parallel_pull(PG_FUNCTION_ARGS) {
  return entry([&] {
    return Int64GetDatum(pull_and_wait(read_order(fcinfo, kPullLayout, OrderKind::kRun)));
  });
}

Datum parallel_pull_start(PG_FUNCTION_ARGS) {
  return entry([&] {
    const Order order = read_order(fcinfo, kStartLayout, OrderKind::kRun);
    // A snapshot that was given need not live longer than this call.
    return Int64GetDatum(
        start_and_leave(order, order.snapshot.empty() ? kPhaseRecorded : kPhasePlanned));
  });
}

Datum parallel_pull_create(PG_FUNCTION_ARGS) {
  return entry([&] {
    return Int64GetDatum(
        start_and_leave(read_order(fcinfo, kCreateLayout, OrderKind::kCreate), kPhasePlanned));
  });
}

Datum parallel_pull_work(PG_FUNCTION_ARGS) {
  return entry([&] {
    const WorkResult result = work(fcinfo);
    Datum const values[] = {Int32GetDatum(result.chunks), Int64GetDatum(result.rows),
                            Int64GetDatum(result.bytes), Int32GetDatum(result.remaining)};
    return call([&]() noexcept { return result_row(fcinfo, values, lengthof(values)); });
  });
}

Datum parallel_pull_wait(PG_FUNCTION_ARGS) {
  return entry([&] {
    int64 const timeout_ms = call([&]() noexcept { return argument_milliseconds(fcinfo, 1); });
    const std::string state = wait_for(pull_id_argument(fcinfo), timeout_ms);
    return call([&]() noexcept { return CStringGetTextDatum(state.c_str()); });
  });
}

Datum parallel_pull_cancel(PG_FUNCTION_ARGS) {
  return entry([&] { return BoolGetDatum(cancel(argument_bigint(fcinfo, 0, 0))); });
}
