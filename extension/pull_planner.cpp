// pull_planner: see pull_planner.hpp.
#include "extension/pull_planner.hpp"

#include "core/bucket_key.hpp"
#include "core/column_map.hpp"
#include "core/key_choice.hpp"
#include "core/plan.hpp"
#include "core/source_table.hpp"
#include "core/types.hpp"

#include <algorithm>

#include "extension/boundary.hpp"
#include "extension/local_table.hpp"
#include "extension/server/random_number.hpp"
#include "extension/spi_executor.hpp"

namespace parallel_loader {

namespace {

constexpr TypeOid kMoney = 790;

int server_version(Executor &server) {
  return static_cast<int>(
      server.exec("SELECT pg_catalog.current_setting('server_version_num')").integer(0, 0));
}

// money is stored as a count of the smallest unit, so it changes its value between servers whose
// lc_monetary has another number of fraction digits.
void require_same_money_scale(const Types &types, const SourceTable &table, Executor &source,
                              Executor &destination) {
  const bool has_money = std::ranges::any_of(table.columns, [&](const SourceColumn &column) {
    return types.contains(column.type, kMoney);
  });
  if (!has_money)
    return;
  constexpr std::string_view kScale =
      "SELECT pg_catalog.scale(1::pg_catalog.money::pg_catalog.numeric)";
  constexpr std::string_view kUsersOwn =
      "SELECT pg_catalog.set_config(name, reset_val, true) FROM pg_catalog.pg_settings "
      "WHERE name = 'lc_monetary'";
  static_cast<void>(source.exec(kUsersOwn)); // the session has it pinned to C
  const int64_t there = source.exec(kScale).integer(0, 0);
  static_cast<void>(source.exec("SELECT pg_catalog.set_config('lc_monetary', 'C', true)"));
  const int64_t here = destination.exec(kScale).integer(0, 0);
  if (here != there) {
    throw Error(sqlstate::kFeatureNotSupported,
                "type money cannot be pulled between servers of different lc_monetary",
                "Its values have " + std::to_string(there) + " fraction digits on the source and " +
                    std::to_string(here) + " here.",
                "Read the column through a view on the source that casts it to numeric.");
  }
}

// Text of a time with time zone has the offset, but a type that drops it keeps the clock's time.
void require_same_instants(const TablePair &tables, const ColumnMap &columns,
                           const std::string &zone) {
  constexpr TypeOid kTimestamptz = 1184;
  for (const std::string &name : columns.columns) {
    const TypeOid there = tables.source.find_column(name)->type;
    const auto here = std::ranges::find(tables.destination.columns, name, &DestinationColumn::name);
    if (tables.source_types.contains(there, kTimestamptz) &&
        tables.source_types.get(there).quoted_name !=
            tables.destination_types.get(here->type).quoted_name)
      throw unknown_timezone(zone, "Column \"" + name +
                                       "\" has another type here, so its times are written in the "
                                       "time zone of this session.");
  }
}

KeyChoice choose_pull_key(const PullRequest &request, const SourceTable &table, const Types &types,
                          const ColumnMap &columns, Executor &source) {
  // The key of an append compares rows, it cuts nothing.
  if (request.kind == PullKind::kAppend && request.key.empty())
    return {.key = find_default_key(source, table).value_or(""), .reason = {}};
  return choose_key(source, {.table = table,
                             .types = types,
                             .key = request.key,
                             .is_whole = !request.start && !request.end,
                             .columns = columns.columns});
}

// All holders of a run's snapshot have the same lock.
int64_t lock_key(const HeldSnapshot &snapshot) {
  return snapshot.lock != 0 ? snapshot.lock : call([]() noexcept { return random_number(); });
}

std::optional<Bound> bound(const std::optional<std::string> &text, const std::string &type) {
  return text ? std::optional<Bound>({*text, type}) : std::nullopt;
}

// Has the source read the filter before any work is done.
void check_filter(Executor &source, const SourceTable &table, const std::string &filter) {
  if (!filter.empty())
    static_cast<void>(
        source.exec("SELECT FROM " + table.from_item() + " WHERE (" + filter + "\n) LIMIT 0"));
}

} // namespace

PullPlan plan_pull(const Order &order, SourceReader &reader) {
  const PullRequest &request = order.request;
  Connection &source = reader.session().connection();
  SpiExecutor destination(SpiMode::kReadLatest);

  reader.set_timezone(order, Format::kBinary);
  const SourceTable table = reader.find_table(parse_qualified_name(request.source_table));
  const Types source_types = load_column_types(source, table);
  const DestinationTable local = describe_local_table(request.table);
  const Types local_types = load_local_types(destination, local);
  ColumnMap columns = map_columns(table, {source_types, source.server_version()}, local,
                                  {local_types, server_version(destination)}, request.columns,
                                  parse_format(request.format));
  if (columns.format == Format::kText && !reader.try_timezone(order))
    require_same_instants({table, source_types, local, local_types}, columns, request.timezone);
  require_same_money_scale(source_types, table, source, destination);
  reader.lock_table(table, columns);
  check_filter(source, table, request.filter);

  const KeyChoice choice = choose_pull_key(request, table, source_types, columns, source);
  const Key key = Key::resolve(choice.key, table, source_types, order.bound_type);
  PullPlan plan;
  plan.key_reason = choice.reason;
  const ResolvedRange resolved = resolve_range(source, key, bound(request.start, order.bound_type),
                                               bound(request.end, order.bound_type));
  if (request.kind == PullKind::kAppend) {
    plan.chunks = {PlannedChunk{}}; // all in the transaction that moves the mark
  } else if (!resolved.is_empty) {
    plan.chunks = plan_chunks(source, {table, key, resolved.range, request.filter, request.workers,
                                       request.chunk_bytes, columns.columns});
  }
  plan.source_table = table.name;
  plan.key = key.text();
  plan.bound_type = key.is_none() ? std::string() : key.columns().front().bound_type;
  plan.format = columns.format;
  plan.columns = std::move(columns.columns);
  plan.snapshot = reader.session().export_snapshot(lock_key(order.snapshot));
  plan.identity = reader.session().identity();
  plan.source_version = source.server_version();
  return plan;
}

} // namespace parallel_loader
