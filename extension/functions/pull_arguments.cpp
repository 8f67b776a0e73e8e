#include "extension/functions/pull_arguments.hpp"

#include "core/base/quote.hpp"
#include "core/base/secret.hpp"
#include "core/source/column_map.hpp"

#include <charconv>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/read_secret.hpp"
#include "extension/bridge/source_address.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/server/process/lock_trap.hpp"
#include "extension/server/process/settings.hpp"
#include "extension/server/process/waiting_session.hpp"
#include "extension/server/sql/destination_table.hpp"

namespace parallel_loader {

namespace {

constexpr int kTableArgument = 1;

std::string setting(const char *name) {
  return call([&]() noexcept { return session_setting(name); });
}

void require_not_null(FunctionCallInfo fcinfo, int number, const char *name) {
  if (fcinfo->args[number].isnull)
    throw Error("22004", std::string("\"") + name + "\" cannot be null");
}

void check_destination(Oid table, RequestKind kind) {
  call([&]() noexcept {
    destination_table_require(table);
    if (kind == RequestKind::kLook)
      return;
    destination_table_check(table);
    lock_trap_check_before_start(table);
  });
}

// Of an argument that not every function has.
std::string optional_text(FunctionCallInfo fcinfo, int number) {
  return number < 0 ? std::string() : text_argument(fcinfo, number);
}

void read_bounds(FunctionCallInfo fcinfo, const ArgumentLayout &layout, Request &request) {
  if (layout.start < 0)
    return;
  const BoundArgument start = call([&]() noexcept { return argument_bound(fcinfo, layout.start); });
  const BoundArgument end = call([&]() noexcept { return argument_bound(fcinfo, layout.end); });
  if (start.text != nullptr)
    request.pull.start = start.text;
  if (end.text != nullptr)
    request.pull.end = end.text;
  request.bound_type = start.text != nullptr ? start.type : end.type;
}

std::string cut(const std::string &name) {
  return name.size() < NAMEDATALEN ? name : call([&]() noexcept { return name_cut(name.c_str()); });
}

// What is too short to hold a name that is too long is left as it is written.
std::string cut_table_name(const std::string &text) {
  if (text.size() < NAMEDATALEN)
    return text;
  const QualifiedName name = parse_qualified_name(text);
  return QualifiedName{cut(name.schema), cut(name.name)}.quoted();
}

// A column, or `(a, "B c")`.
std::string cut_key(const std::string &text) {
  if (text.size() < NAMEDATALEN || text.front() != '(' || text.back() != ')')
    return cut(text);
  std::string key;
  for (const std::string &column : split_identifier_list(text.substr(1, text.size() - 2)))
    key += (key.empty() ? "(" : ", ") + quote_identifier(cut(column));
  return key + ")";
}

void read_columns(FunctionCallInfo fcinfo, const ArgumentLayout &layout, PullRequest &pull) {
  const TextArray columns =
      call([&]() noexcept { return argument_text_array(fcinfo, layout.columns); });
  if (!columns.is_null)
    pull.columns.emplace(columns.values, columns.values + columns.count);
  if (pull.columns)
    for (std::string &column : *pull.columns)
      column = cut(column);
}

int read_workers(FunctionCallInfo fcinfo, const ArgumentLayout &layout) {
  const int workers = argument_int(fcinfo, layout.workers, setting_workers);
  if (workers < 1 || workers > kMaxWorkers) {
    throw Error(sqlstate::kInvalidParameterValue,
                "\"workers\" must be between 1 and " + std::to_string(kMaxWorkers));
  }
  return workers;
}

int64_t read_chunk_bytes(FunctionCallInfo fcinfo, const ArgumentLayout &layout) {
  const std::string size = optional_text(fcinfo, layout.chunk_size);
  if (size.empty())
    return int64_t{setting_chunk_size_kb} * 1024;
  return call([&]() noexcept { return size_in_bytes(size.c_str()); });
}

std::string counterpart_name(uint32_t table) {
  const TableDescription info = call([&]() noexcept { return destination_table_describe(table); });
  return QualifiedName{info.schema, info.name}.quoted();
}

// With the password, which the ledger does not have; nothing where its coordinator is gone.
std::optional<SourceAddress> source_of_holder(const FoundPull &found) {
  const AttachedPull holder(found);
  if (holder.get() == nullptr)
    return std::nullopt;
  std::optional<Request> request = read_secret(holder.get()->request, parse_request);
  if (!request)
    return std::nullopt;
  return std::move(request->source);
}

} // namespace

std::string text_argument(FunctionCallInfo fcinfo, int number) {
  char *value = call([&]() noexcept { return argument_text(fcinfo, number); });
  if (value == nullptr)
    return {};
  std::string text(value);
  wipe(value, text.size()); // it may be a source with its password
  return text;
}

int64_t pull_id_argument(FunctionCallInfo fcinfo) {
  require_not_null(fcinfo, 0, "pull_id");
  return argument_bigint(fcinfo, 0, 0);
}

int64_t id_setting(const char *name, const std::string &value) {
  int64_t id = 0;
  const char *const end = value.data() + value.size();
  const auto [stop, problem] = std::from_chars(value.data(), end, id);
  if (!value.empty() && (problem != std::errc() || stop != end)) {
    throw Error(sqlstate::kInvalidParameterValue,
                std::string("invalid value for \"") + name + "\": \"" + value + "\"", "",
                "Set it to the id of a pull, or to an empty string.");
  }
  return id;
}

void read_session(Request &request) {
  request.pull.timezone = setting("TimeZone");
  request.pull.date_order = session_date_order();
  request.pull.search_path = setting("search_path");
  request.pull.replication_role = setting("session_replication_role");
  request.snapshot_hold_ms = int64_t{setting_snapshot_hold_s} * 1000;
  request.retry_budget_ms = int64_t{setting_retry_budget_s} * 1000;
  request.run_wait_ms = setting_run_wait_ms;
  request.pull.tables_to_come = setting_tables_to_come;
  request.pull.continued_run = id_setting("parallel_loader.continued_run", setting_continued_run);
  request.route = static_cast<RouteSetting>(setting_route);
}

std::string read_source_argument(FunctionCallInfo fcinfo) {
  require_not_null(fcinfo, kSourceArgument, "src_dsn");
  return text_argument(fcinfo, kSourceArgument);
}

Request read_local_request(FunctionCallInfo fcinfo, const ArgumentLayout &layout,
                           RequestKind kind) {
  require_not_null(fcinfo, kTableArgument, "table");
  Request request;
  request.kind = kind;
  PullRequest &pull = request.pull;
  pull.owner = call([]() noexcept { return GetUserId(); });
  pull.table = DatumGetObjectId(fcinfo->args[kTableArgument].value);
  check_destination(pull.table, kind);

  pull.workers = read_workers(fcinfo, layout);
  pull.format = layout.format < 0 ? "auto" : text_argument(fcinfo, layout.format);
  static_cast<void>(parse_format(pull.format));
  pull.chunk_bytes = read_chunk_bytes(fcinfo, layout);
  pull.key = cut_key(text_argument(fcinfo, layout.key));
  pull.filter = text_argument(fcinfo, layout.filter);
  pull.source_table = fcinfo->args[layout.source_table].isnull
                          ? counterpart_name(pull.table)
                          : cut_table_name(text_argument(fcinfo, layout.source_table));
  read_columns(fcinfo, layout, pull);
  read_bounds(fcinfo, layout, request);
  request.snapshot.name = optional_text(fcinfo, layout.snapshot);
  request.window = optional_text(fcinfo, layout.window);
  pull.run_id = layout.run_id < 0 ? 0 : argument_bigint(fcinfo, layout.run_id, 0);
  read_session(request);
  return request;
}

// A run's pulls share the snapshot that another one's coordinator holds.
void join_run(Request &request) {
  const int64_t run_id = request.pull.run_id;
  const FoundPull first = find_pull(run_id);
  if (!first.is_live || first.snapshot.empty()) {
    throw Error("55000", "run " + std::to_string(run_id) + " holds no snapshot any more",
                "Its first pull is " + std::string(state_name(first.state)) + ".",
                "Begin a new run.");
  }
  SpiExecutor executor(SpiMode::kReadLatest);
  request.snapshot = Ledger(executor).load_plan(run_id).snapshot;
}

Request read_request(FunctionCallInfo fcinfo, const ArgumentLayout &layout, RequestKind kind) {
  std::string src_dsn = read_source_argument(fcinfo);
  const WipeAtEnd wiped(src_dsn);
  Request request = read_local_request(fcinfo, layout, kind);
  NamedSource source = resolve_source(src_dsn, request.pull.owner);
  request.source = std::move(source.address);
  request.pull.source = std::move(source.display);
  return request;
}

Request resume_request(const FoundPull &found, const std::string &src_dsn, bool new_snapshot) {
  Request request;
  request.kind = RequestKind::kResume;
  request.resume_id = found.pull_id;
  request.new_snapshot = new_snapshot;
  read_session(request);
  SpiExecutor executor(SpiMode::kReadLatest);
  PullRequest recorded = Ledger(executor).load_pull(found.pull_id).request;
  recorded.search_path = std::move(request.pull.search_path);
  recorded.replication_role = std::move(request.pull.replication_role);
  request.pull = std::move(recorded); // bounds are read as at first
  check_destination(request.pull.table, request.kind);
  if (found.is_read())
    return request;
  if (!src_dsn.empty())
    request.source = resolve_source(src_dsn, found.owner).address;
  else if (std::optional<SourceAddress> known = source_of_holder(found))
    request.source = *std::move(known);
  else
    request.source = resolve_source(request.pull.source, found.owner).address;
  return request;
}

} // namespace parallel_loader
