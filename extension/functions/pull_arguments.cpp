// pull_arguments: see pull_arguments.hpp.
#include "extension/functions/pull_arguments.hpp"

#include "core/base/quote.hpp"
#include "core/base/secret.hpp"
#include "core/source/column_map.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/source_address.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/server/process/leader.hpp"
#include "extension/server/process/lock_trap.hpp"
#include "extension/server/process/settings.hpp"
#include "extension/server/sql/target_table.hpp"

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

void check_destination(Oid table, OrderKind kind) {
  call([&]() noexcept {
    target_table_require(table);
    if (kind == OrderKind::kLook)
      return;
    target_table_check(table);
    lock_trap_check_before_start(table);
  });
}

// Of an argument that not every function has.
std::string optional_text(FunctionCallInfo fcinfo, int number) {
  return number < 0 ? std::string() : text_argument(fcinfo, number);
}

void read_bounds(FunctionCallInfo fcinfo, const ArgumentLayout &layout, Order &order) {
  if (layout.start < 0)
    return;
  const BoundArgument start = call([&]() noexcept { return argument_bound(fcinfo, layout.start); });
  const BoundArgument end = call([&]() noexcept { return argument_bound(fcinfo, layout.end); });
  if (start.text != nullptr)
    order.request.start = start.text;
  if (end.text != nullptr)
    order.request.end = end.text;
  order.bound_type = start.text != nullptr ? start.type : end.type;
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

void read_columns(FunctionCallInfo fcinfo, const ArgumentLayout &layout, PullRequest &request) {
  const TextArray columns =
      call([&]() noexcept { return argument_text_array(fcinfo, layout.columns); });
  if (!columns.is_null)
    request.columns.emplace(columns.values, columns.values + columns.count);
  if (request.columns)
    for (std::string &column : *request.columns)
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
  const TargetTable target = call([&]() noexcept { return target_table_describe(table); });
  return QualifiedName{target.schema, target.name}.quoted();
}

// A run's pulls share the snapshot that the first one's coordinator holds.
void join_run(FunctionCallInfo fcinfo, const ArgumentLayout &layout, Order &order) {
  const int64_t run_id = layout.run_id < 0 ? 0 : argument_bigint(fcinfo, layout.run_id, 0);
  if (run_id == 0)
    return;
  const FoundPull first = find_pull(run_id);
  if (!first.is_live || first.snapshot.empty()) {
    throw Error("55000", "run " + std::to_string(run_id) + " holds no snapshot any more",
                "Its first pull is " + std::string(state_name(first.state)) + ".",
                "Begin a new run.");
  }
  order.request.run_id = run_id;
  SpiExecutor executor(SpiMode::kReadLatest);
  order.snapshot = Ledger(executor).load_plan(run_id).snapshot;
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

void read_session(Order &order) {
  order.request.timezone = setting("TimeZone");
  order.request.date_order = session_date_order();
  order.search_path = setting("search_path");
  order.replication_role = setting("session_replication_role");
  order.snapshot_hold_ms = int64_t{setting_snapshot_hold_s} * 1000;
  order.retry_budget_ms = int64_t{setting_retry_budget_s} * 1000;
  order.route = static_cast<RouteSetting>(setting_route);
}

std::string read_source_argument(FunctionCallInfo fcinfo) {
  require_not_null(fcinfo, kSourceArgument, "src_dsn");
  return text_argument(fcinfo, kSourceArgument);
}

Order read_local_order(FunctionCallInfo fcinfo, const ArgumentLayout &layout, OrderKind kind) {
  require_not_null(fcinfo, kTableArgument, "table");
  Order order;
  order.kind = kind;
  PullRequest &request = order.request;
  request.owner = call([]() noexcept { return GetUserId(); });
  request.table = DatumGetObjectId(fcinfo->args[kTableArgument].value);
  check_destination(request.table, kind);

  request.workers = read_workers(fcinfo, layout);
  request.format = layout.format < 0 ? "auto" : text_argument(fcinfo, layout.format);
  static_cast<void>(parse_format(request.format));
  request.chunk_bytes = read_chunk_bytes(fcinfo, layout);
  request.key = cut_key(text_argument(fcinfo, layout.key));
  request.filter = text_argument(fcinfo, layout.filter);
  request.source_table = fcinfo->args[layout.source_table].isnull
                             ? counterpart_name(request.table)
                             : cut_table_name(text_argument(fcinfo, layout.source_table));
  read_columns(fcinfo, layout, request);
  read_bounds(fcinfo, layout, order);
  order.snapshot.name = optional_text(fcinfo, layout.snapshot);
  order.window = optional_text(fcinfo, layout.window);
  join_run(fcinfo, layout, order);
  read_session(order);
  return order;
}

Order read_order(FunctionCallInfo fcinfo, const ArgumentLayout &layout, OrderKind kind) {
  std::string src_dsn = read_source_argument(fcinfo);
  const WipeAtEnd wiped(src_dsn);
  Order order = read_local_order(fcinfo, layout, kind);
  NamedSource source = resolve_source(src_dsn, order.request.owner);
  order.source = std::move(source.address);
  order.request.source = std::move(source.display);
  return order;
}

Order resume_order(const FoundPull &found, const std::string &src_dsn, bool new_snapshot) {
  Order order;
  order.kind = OrderKind::kResume;
  order.resume_id = found.pull_id;
  order.new_snapshot = new_snapshot;
  read_session(order);
  SpiExecutor executor(SpiMode::kReadLatest);
  order.request = Ledger(executor).load_pull(found.pull_id).request; // bounds are read as at first
  check_destination(order.request.table, order.kind);
  if (found.is_read())
    return order;
  if (!src_dsn.empty())
    order.source = resolve_source(src_dsn, found.owner).address;
  else if (const AttachedPull holder(found); holder.get() != nullptr)
    order.source = parse_order({holder.get()->order, holder.get()->order_size}).source;
  else
    order.source = resolve_source(order.request.source, found.owner).address;
  return order;
}

} // namespace parallel_loader
