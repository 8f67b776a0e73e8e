// pull_functions: the SQL functions that begin pulls, or begin them again.
#include "core/base/quote.hpp"
#include "core/base/secret.hpp"
#include "core/ledger/append_ledger.hpp"
#include "core/ledger/local_relations.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/guarded_call.hpp"
#include "extension/bridge/read_secret.hpp"
#include "extension/bridge/scratch_memory.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/coordinator/slot_wait.hpp"
#include "extension/functions/pull_arguments.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/ledger/pull_refusal.hpp"
#include "extension/ledger/rows_notice.hpp"
#include "extension/server/base/notice.hpp"
#include "extension/server/process/plan_session.hpp"
#include "extension/server/process/settings.hpp"
#include "extension/server/process/waiting_session.hpp"
#include "extension/server/sql/destination_table.hpp"
#include "extension/server/sql/result_set.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

PG_FUNCTION_INFO_V1(parallel_pull);
PG_FUNCTION_INFO_V1(parallel_pull_table);
PG_FUNCTION_INFO_V1(parallel_pull_start);
PG_FUNCTION_INFO_V1(parallel_pull_create);
PG_FUNCTION_INFO_V1(parallel_pull_resume);
PG_FUNCTION_INFO_V1(parallel_pull_append);
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
constexpr ArgumentLayout kAppendLayout = {
    .key = 2, .source_table = 3, .columns = 4, .filter = 5, .workers = 6, .window = 7};
constexpr ArgumentLayout kCreateLayout = [] {
  ArgumentLayout layout = kTableLayout;
  layout.run_id = 10;
  return layout;
}();

// From here on the password is in the pull's shared memory alone.
WaitingSession prepare(Request &request) {
  std::string bytes = serialize_request(request);
  const WipeAtEnd wiped(bytes);
  request.source.conninfo.wipe_secrets();
  const Oid owner = request.pull.owner;
  const Oid table = request.pull.table;
  const bool is_run = request.kind == RequestKind::kCreate;
  return call([&]() noexcept {
    WaitingSession session = waiting_session_prepare(owner, table, bytes.data(), bytes.size());
    session.pull->is_run = is_run;
    return session;
  });
}

// Starts the coordinator as soon as there is room for it.  Nothing is recorded before.
// `takes_over` as in waiting_session_launch.
WaitingSession start(Request &request, bool takes_over) {
  notice_rows_there(request);
  WaitingSession session = prepare(request);
  SlotWait wait(request.retry_budget_ms, request.resume_id);
  bool is_first = true;
  while (!call([&]() noexcept { return waiting_session_launch(&session, takes_over); })) {
    const ScratchMemory memory;
    call([&]() noexcept { waiting_session_wait_for_room(is_first); });
    wait.ask_for_room();
    wait.require_patience();
    is_first = false;
  }
  return session;
}

// Starts a pull that goes on by itself, and returns its id once it has reached `phase`.
int64 start_and_leave(Request request, PullPhase phase) {
  WaitingSession session = start(request, false);
  return call([&]() noexcept {
    waiting_session_wait(&session, phase);
    waiting_session_report_notice(session.pull);
    int64 const pull_id = session.pull->pull_id;
    waiting_session_release(&session);
    return pull_id;
  });
}

// What tells one source from another, as far as it was named.
void require_same_source(const Request &request, const ConnInfo &there) {
  for (const char *keyword : {"host", "hostaddr", "port", "dbname", "user", "service"}) {
    if (request.source.conninfo.get(keyword) == there.get(keyword))
      continue;
    throw Error("55000",
                "run " + std::to_string(request.pull.run_id) + " reads from another source",
                std::string("The run's \"") + keyword + "\" is \"" +
                    std::string(there.get(keyword)) + "\", and that of src_dsn is \"" +
                    std::string(request.source.conninfo.get(keyword)) + "\".",
                "Give the source of the run in src_dsn, or begin a new run.");
  }
}

// For a program that has looked at the table at that time.
void require_sole(const Request &request) {
  if (*setting_sole_since == '\0')
    return;
  if (const std::optional<FoundPull> found = find_loader(request.pull.table, setting_sole_since))
    throw loading_error(parse_qualified_name(found->table_name), found->pull_id);
}

// Has the coordinator of the run plan the pull.  Returns 0 where there is none that does so.
int64 create_in_run(Request &request) {
  const std::optional<FoundRun> found = find_run(request.pull.run_id);
  if (!found)
    return 0;
  const AttachedPull attached(*found);
  SharedPull *run = attached.get();
  if (run == nullptr || shared_pull_phase(run) != kPhasePlanned)
    return 0;
  const std::optional<Request> first = read_secret(run->request, parse_request);
  if (!first)
    return 0;
  if (found->owner != request.pull.owner) {
    throw Error(sqlstate::kInsufficientPrivilege,
                "run " + std::to_string(request.pull.run_id) + " belongs to another role",
                "Its pulls are those of one role, which owns the processes that copy them.",
                "Begin a new run.");
  }
  require_same_source(request, first->source.conninfo);
  notice_rows_there(request);
  request.source.conninfo = ConnInfo(); // the coordinator has it
  const std::string bytes = serialize_request(request);
  return call([&]() noexcept { return plan_session_run(run, bytes.data(), bytes.size()); });
}

void warn_of_lost_bounds(int64 pull_id) {
  SpiExecutor executor(SpiMode::kReadLatest);
  if (!Ledger(executor).has_lost_bounds(pull_id))
    return;
  const std::string message = "pull " + std::to_string(pull_id) + " leaves no mark for appends";
  call([&]() noexcept {
    warning(message.c_str(),
            "The source did not confirm that it has flushed what the pull has read. A crash of the "
            "source might undo some of it.",
            "To append to the table, empty it and pull it again.");
  });
}

// Returns the id of the pull, which is done.
int64 pull_and_wait(Request request, bool takes_over = false) {
  WaitingSession session = start(request, takes_over);
  const int64 pull_id = call([&]() noexcept {
    waiting_session_wait(&session, kPhasePlanned);
    waiting_session_report_notice(session.pull);
    waiting_session_report_workers(
        static_cast<int>(pg_atomic_read_u32(&session.pull->workers_started)),
        static_cast<int>(pg_atomic_read_u32(&session.pull->workers_wanted)));
    waiting_session_wait(&session, kPhaseEnded);
    int64 const id = session.pull->pull_id;
    waiting_session_release(&session);
    return id;
  });
  warn_of_lost_bounds(pull_id);
  return pull_id;
}

// From the ledger: a worker that was lost right after its commit has not counted its last chunk.
Ledger::Totals totals_of(int64 pull_id) {
  SpiExecutor executor(SpiMode::kReadLatest);
  return Ledger(executor).totals(pull_id);
}

double seconds_since(TimestampTz begin) {
  return static_cast<double>(GetCurrentTimestamp() - begin) / 1e6;
}

// (pull_id, rows, bytes, chunks, seconds), of the whole pull.
Datum table_result(FunctionCallInfo fcinfo, int64 pull_id, TimestampTz begin) {
  const Ledger::Totals totals = totals_of(pull_id);
  const Datum values[] = {Int64GetDatum(pull_id), Int64GetDatum(totals.row_count),
                          Int64GetDatum(totals.byte_count), Int32GetDatum(totals.chunk_count),
                          Float8GetDatum(seconds_since(begin))};
  return call([&]() noexcept { return result_row(fcinfo, values, lengthof(values)); });
}

// What happens to the table after this is seen by the chunks that are left, and at the pull's end.
void require_rows_kept(const FoundPull &found) {
  SpiExecutor executor(SpiMode::kReadLatest);
  const std::optional<std::string> change =
      LocalRelations(executor).why_pull_changed(found.pull_id);
  if (!change)
    return;
  const std::string pull_id = std::to_string(found.pull_id);
  const bool needs_no_new_one = found.is_held || found.chunks_left == 0;
  throw Error(
      "55000", "pull " + pull_id + " cannot be resumed: the rows of its done chunks may be gone",
      *change,
      local_change_hint(found.table_name, resume_call(found.pull_id, found.key, needs_no_new_one)));
}

// What the pull still brings is there already.
void require_no_successor(const FoundPull &found) {
  SpiExecutor executor(SpiMode::kReadLatest);
  const std::optional<int64_t> successor = AppendLedger(executor).find_successor(found.pull_id);
  if (!successor)
    return;
  throw Error("55000", "pull " + std::to_string(found.pull_id) + " cannot be resumed",
              "Pull " + std::to_string(*successor) + " has copied the rows of table " +
                  found.table_name + " since.",
              "If they are no longer there, call parallel_pull_forget(" +
                  quote_literal(found.table_name) + ") and resume again.");
}

Datum resume(FunctionCallInfo fcinfo) {
  const TimestampTz begin = GetCurrentTimestamp();
  std::string src_dsn = text_argument(fcinfo, 1);
  const WipeAtEnd wiped(src_dsn);
  const FoundPull found = find_pull(pull_id_argument(fcinfo));
  require_resumable(found);
  if (found.state != PullState::kDone) {
    require_table(found);
    require_rows_kept(found);
    require_no_successor(found);
    const bool new_snapshot = !fcinfo->args[2].isnull && DatumGetBool(fcinfo->args[2].value);
    Request request = resume_request(found, src_dsn, new_snapshot);
    notice_old_filter(found.pull_id);
    wipe(src_dsn); // the call may take long
    static_cast<void>(pull_and_wait(std::move(request), found.is_held));
  }
  return table_result(fcinfo, found.pull_id, begin);
}

} // namespace

} // namespace parallel_loader

using namespace parallel_loader;

void _PG_init(void) {
  settings_define();
}

Datum parallel_pull(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, kSourceArgument);
    const int64 pull_id = pull_and_wait(read_request(fcinfo, kPullLayout, RequestKind::kRun));
    return Int64GetDatum(totals_of(pull_id).row_count);
  });
}

Datum parallel_pull_table(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, kSourceArgument);
    const TimestampTz begin = GetCurrentTimestamp();
    const int64 pull_id = pull_and_wait(read_request(fcinfo, kTableLayout, RequestKind::kRun));
    return table_result(fcinfo, pull_id, begin);
  });
}

Datum parallel_pull_start(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, kSourceArgument);
    const Request request = read_request(fcinfo, kTableLayout, RequestKind::kRun);
    // A snapshot that was given need not live longer than this call.
    return Int64GetDatum(
        start_and_leave(request, request.snapshot.name.empty() ? kPhaseRecorded : kPhasePlanned));
  });
}

Datum parallel_pull_create(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, kSourceArgument);
    Request request = read_request(fcinfo, kCreateLayout, RequestKind::kCreate);
    require_sole(request);
    if (request.pull.run_id != 0) {
      Request copy = request;
      if (const int64 pull_id = create_in_run(copy); pull_id != 0)
        return Int64GetDatum(pull_id);
      join_run(request);
    }
    return Int64GetDatum(start_and_leave(std::move(request), kPhasePlanned));
  });
}

Datum parallel_pull_resume(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, 1);
    return resume(fcinfo);
  });
}

Datum parallel_pull_append(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, kSourceArgument);
    Request request = read_request(fcinfo, kAppendLayout, RequestKind::kRun);
    request.pull.kind = PullKind::kAppend;
    notice_old_filter(request);
    request.pull.workers = 1; // rows and mark are one transaction
    return Int64GetDatum(totals_of(pull_and_wait(request)).row_count);
  });
}
