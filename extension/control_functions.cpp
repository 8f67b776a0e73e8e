// control_functions: the SQL functions that join, watch, change and end pulls.
#include "core/secret.hpp"

#include "extension/boundary.hpp"
#include "extension/guarded_call.hpp"
#include "extension/pull_arguments.hpp"
#include "extension/pull_lookup.hpp"
#include "extension/scratch_memory.hpp"
#include "extension/server/leader.hpp"
#include "extension/server/lock_trap.hpp"
#include "extension/server/result_set.hpp"
#include "extension/server/socket_wait.hpp"
#include "extension/server/throttle.hpp"
#include "extension/server/work_session.hpp"
#include "extension/source_address.hpp"
#include "extension/spi_executor.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(parallel_pull_work);
PG_FUNCTION_INFO_V1(parallel_pull_wait);
PG_FUNCTION_INFO_V1(parallel_pull_alter);
PG_FUNCTION_INFO_V1(parallel_pull_cancel);
}

namespace parallel_loader {

namespace {

constexpr int64 kLookAgainMs = 50;

void require_joinable(const FoundPull &found) {
  if (found.is_live)
    return;
  throw Error("55000",
              "pull " + std::to_string(found.pull_id) + " cannot be joined: it is " + found.state,
              "", "Resume it with parallel_pull_resume, or create another pull.");
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

WorkResult work(FunctionCallInfo fcinfo) {
  std::string src_dsn = text_argument(fcinfo, 1);
  const WipeAtEnd wiped_source(src_dsn);
  const WorkRequest request = read_work_request(fcinfo);
  const FoundPull found = find_pull(pull_id_argument(fcinfo));
  if (found.state == "done")
    return {};
  require_joinable(found);
  call([&]() noexcept { lock_trap_check_before_start(found.table); });
  std::string address = serialize_source(src_dsn);
  const WipeAtEnd wiped_address(address);
  wipe(src_dsn); // the call may take long
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

int64 milliseconds_until(TimestampTz deadline) {
  return (deadline - GetCurrentTimestamp()) / 1000;
}

// A session that did not start the pull is not woken by it, so it looks again and again.
void wait_for_end(SharedPull *pull, TimestampTz deadline) {
  while (shared_pull_phase(pull) != kPhaseEnded && pull->coordinator_pid != 0) {
    const int64 left_ms = milliseconds_until(deadline);
    if (left_ms <= 0)
      return;
    call([&]() noexcept { leader_wait_turn(pull, static_cast<long>(Min(left_ms, kLookAgainMs))); });
  }
}

// The shared memory says when it is time to ask the ledger, which costs more.
std::string wait_for(int64 pull_id, int64 timeout_ms) {
  const TimestampTz deadline =
      timeout_ms < 0 ? DT_NOEND : GetCurrentTimestamp() + timeout_ms * 1000;
  ScratchMemory memory;
  for (;; memory.reset()) {
    const FoundPull found = find_pull(pull_id);
    if (!found.is_live || milliseconds_until(deadline) <= 0)
      return found.state;
    const AttachedPull attached(found);
    if (attached.get() != nullptr)
      wait_for_end(attached.get(), deadline);
    call([]() noexcept { latch_sleep(kLookAgainMs / 5); }); // its coordinator is about to go
  }
}

void require_between(std::optional<int> value, const char *name, int high) {
  if (value && (*value < 0 || *value > high)) {
    throw Error(sqlstate::kInvalidParameterValue,
                "\"" + std::string(name) + "\" must be between 0 and " + std::to_string(high));
  }
}

std::optional<int> int_argument(FunctionCallInfo fcinfo, int number) {
  return fcinfo->args[number].isnull ? std::nullopt
                                     : std::optional(argument_int(fcinfo, number, 0));
}

void alter_running(SharedPull *pull, std::optional<int> workers, std::optional<int> max_rate_kb) {
  if (workers) {
    throttle_set_paused(pull, *workers == 0);
    if (*workers > 0)
      pg_atomic_write_u32(&pull->workers_target, static_cast<uint32>(*workers));
  }
  if (max_rate_kb)
    throttle_set_rate(pull, int64{*max_rate_kb} * 1024);
  pg_atomic_write_u32(&pull->limits_changed, 1);
  call([&]() noexcept { shared_pull_wake(pull->coordinator_pid); });
}

// The coordinator of a pull that runs writes the ledger: this transaction may stay open for long,
// and would keep it from its row.
void alter(int64 pull_id, std::optional<int> workers, std::optional<int> max_rate_kb) {
  require_between(workers, "workers", kMaxWorkers);
  require_between(max_rate_kb, "max_rate", PG_INT32_MAX);
  const FoundPull found = find_pull(pull_id);
  const AttachedPull attached(found);
  if (found.is_live && attached.get() != nullptr) {
    alter_running(attached.get(), workers, max_rate_kb);
    return;
  }
  if (found.state == "done") {
    throw Error("55000", "pull " + std::to_string(pull_id) + " is done", "",
                "View parallel_pulls shows the state of your pulls.");
  }
  SpiExecutor executor(SpiMode::kWrite);
  Ledger(executor).set_limits(pull_id, workers == 0 ? std::nullopt : workers, max_rate_kb);
}

bool cancel(int64 pull_id) {
  const FoundPull found = find_pull(pull_id);
  const AttachedPull attached(found);
  if (found.is_held && attached.get() != nullptr) {
    call([&]() noexcept { shared_pull_end_hold(attached.get(), kHoldCancelled); });
    return true;
  }
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

Datum parallel_pull_work(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, 1);
    const WorkResult result = work(fcinfo);
    Datum const values[] = {Int32GetDatum(result.chunks), Int64GetDatum(result.rows),
                            Int64GetDatum(result.bytes), Int32GetDatum(result.remaining)};
    return call([&]() noexcept { return result_row(fcinfo, values, lengthof(values)); });
  });
}

Datum parallel_pull_wait(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo);
    int64 const timeout_ms = call([&]() noexcept { return argument_milliseconds(fcinfo, 1); });
    const std::string state = wait_for(pull_id_argument(fcinfo), timeout_ms);
    return call([&]() noexcept { return CStringGetTextDatum(state.c_str()); });
  });
}

Datum parallel_pull_alter(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo);
    alter(pull_id_argument(fcinfo), int_argument(fcinfo, 1), int_argument(fcinfo, 2));
    return Datum(0);
  });
}

Datum parallel_pull_cancel(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo);
    return BoolGetDatum(cancel(argument_bigint(fcinfo, 0, 0)));
  });
}
