#include "orchestrator/commands/source.hpp"

#include "core/connection/connection_error.hpp"
#include "core/plan/range.hpp"
#include "core/source/filter_path.hpp"
#include "core/source/source_session.hpp"
#include "core/source/types.hpp"
#include "orchestrator/base/failure.hpp"
#include "orchestrator/run/destination.hpp"
#include "orchestrator/run/identity.hpp"
#include "orchestrator/tables/table_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <unordered_map>
#include <utility>

namespace parallel_loader {

namespace {

// These come from this program's environment, if they are not written in --source.
constexpr std::pair<std::string_view, const char *> kOwnVariables[] = {
    {"options", "PGOPTIONS"},
    {"connect_timeout", "PGCONNECT_TIMEOUT"},
    {"requirepeer", "PGREQUIREPEER"},
    {"gsslib", "PGGSSLIB"},
};

/// Our name in pg_stat_activity, the encoding of our terminal, and what our environment wants of
/// our own session, are no part of the source's address.
bool is_our_own(const ConnOption &option, const ConnInfo &given) {
  if (option.keyword == "application_name" || option.keyword == "client_encoding")
    return true;
  return std::ranges::any_of(kOwnVariables, [&](const auto &variable) {
    const char *const value = std::getenv(variable.second);
    return option.keyword == variable.first && value != nullptr && option.value == value &&
           given.get(option.keyword).empty();
  });
}

/// What another program needs to dial the same server.
ConnInfo address_of(const Connection &source, const ConnInfo &given) {
  const ConnInfo resolved = source.resolved();
  ConnInfo address;
  for (const ConnOption &option : resolved.options())
    if (!is_our_own(option, given))
      address.set(option.keyword, option.value);
  return address;
}

/// A source that was lost halfway is unreachable, whatever was being asked.
bool is_connection_failure(const Error &error) {
  return error.sqlstate().starts_with("08");
}

/// The key that --start and --end are values of.
Key resolve_key(Executor &source, const SourceTable &table,
                const std::optional<std::string> &given) {
  const std::optional<std::string> name = given ? given : find_default_key(source, table);
  if (!name)
    throw usage_failure(
        fmt::format("table {} has no primary or unique key of one column that --start and "
                    "--end could be values of",
                    table.name.cited()),
        "Name the column with --key.");
  return Key::resolve(*name, table, load_column_types(source, table.columns), "");
}

std::optional<Bound> untyped(const std::optional<std::string> &value) {
  return value ? std::optional(Bound{*value, ""}) : std::nullopt;
}

std::string range_condition(Executor &source, const Key &key, const Selection &selection) {
  const auto resolved = failing_with(ExitStatus::kUsage, [&] {
    return resolve_range(source, key, untyped(selection.start), untyped(selection.end));
  });
  return resolved.is_empty ? "false" : key.condition(resolved.range);
}

TableNames names_of(const Selection &selection) {
  TableNames names{.tables = selection.tables,
                   .schemas = selection.schemas,
                   .all = selection.all,
                   .excludes = selection.excluded};
  if (selection.table_list)
    for (std::string &entry : read_table_list(*selection.table_list))
      names.tables.push_back(std::move(entry));
  return names;
}

/// What --key-for and its kin say, by the table's OID on the source.
class ForTables {
public:
  /// `option` is for messages.
  ForTables(SourceSession &session, const TableSelection &selection,
            const std::vector<ForTable> &given, std::string_view option) {
    for (const ForTable &entry : given) {
      const SelectedTable *table = find_selected(session, selection, entry.table);
      if (table == nullptr)
        throw usage_failure(
            fmt::format("{}: table \"{}\" is not selected", option, entry.table),
            "Name a table that is copied, as it is called on the source: SCHEMA.TABLE.");
      values_[table->oid] = entry.value;
    }
  }

  [[nodiscard]] std::optional<std::string> find(const SelectedTable &table) const {
    const auto found = values_.find(table.oid);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }

private:
  std::unordered_map<uint32_t, std::string> values_;
};

/// Makes a job of each selected table.
class JobMaker {
public:
  JobMaker(SourceSession &session, const Options &options, const TableSelection &selection)
      : session_(session), options_(options),
        keys_(session, selection, options.selection.keys, "--key-for"),
        conditions_(session, selection, options.selection.conditions, "--where-for"),
        columns_(session, selection, options.selection.columns_of, "--columns-for") {}

  [[nodiscard]] TableJob make(const SelectedTable &table);

private:
  void add_range(const SelectedTable &table, TableTask &task);
  [[nodiscard]] std::optional<std::vector<std::string>>
  columns_of(const SelectedTable &table) const;

  SourceSession &session_;
  const Options &options_;
  ForTables keys_;
  ForTables conditions_;
  ForTables columns_;
};

std::optional<std::vector<std::string>> JobMaker::columns_of(const SelectedTable &table) const {
  const std::optional<std::string> list = columns_.find(table);
  if (!list)
    return options_.selection.columns;
  return failing_with(ExitStatus::kUsage, [&] { return split_identifier_list(*list); });
}

TableJob JobMaker::make(const SelectedTable &table) {
  const Selection &selection = options_.selection;
  const std::optional<std::string> key = keys_.find(table);
  const std::optional<std::string> condition = conditions_.find(table);
  TableJob job{.source_oid = table.oid,
               .task = {.source_table = table.source,
                        .table = table.destination,
                        .key = key ? key : selection.key,
                        .columns = columns_of(table),
                        .filter = condition ? condition : selection.where,
                        .chunk_size = options_.speed.chunk_size,
                        .snapshot = options_.safety.snapshot,
                        .window = options_.repetition.window,
                        .format = options_.speed.format,
                        .workers = options_.speed.jobs.value_or(kDefaultJobs)},
               .bytes = table.bytes,
               .is_whole = true};
  if (selection.start || selection.end)
    add_range(table, job.task);
  job.is_whole = !job.task.filter;
  return job;
}

void JobMaker::add_range(const SelectedTable &selected, TableTask &task) {
  Connection &source = session_.connection();
  const SourceTable table = find_source_table(session_, selected.source);
  const Key key = resolve_key(source, table, task.key);
  task.key = key.text();
  if (task.filter) // by itself: the destination sees both as one
    require_readable_filter(source, session_.filter_path(), table.probe_item(), *task.filter);
  task.filter = join_conditions(range_condition(source, key, options_.selection), task.filter);
}

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 10000, version % 10000);
}

/// Runs `step` in a session on the source.
template <class Step> SourceTables in_session(const Options &options, Waiter &waiter, Step &&step) {
  const ConnInfo conninfo = parse_conninfo("source", options.connections.source);
  try {
    SourceSession session =
        SourceSession::open(conninfo, "parallel-loader", PasswordRule::kAny, waiter);
    session.begin({.encoding = "UTF8", .date_order = "MDY"}, std::nullopt);
    SourceTables tables;
    tables.address = address_of(session.connection(), conninfo);
    tables.server = {.address = tables.address.display(),
                     .version = version_text(session.connection().server_version())};
    tables.identity = session.connection().exec(std::string(kIdentity)).text(0, 0);
    step(session, tables);
    session.end();
    return tables;
  } catch (const Error &error) {
    if (error.sqlstate() == sqlstate::kCannotConnect)
      throw Failure(ExitStatus::kSourceUnreachable,
                    error.with_detail("This machine made the connection."));
    if (is_connection_failure(error))
      throw Failure(ExitStatus::kSourceUnreachable, error);
    throw;
  }
}

} // namespace

// This machine has just reached the source, so it may be the address that differs over there.
void explain_unreachable_source(FailureView &failure, const Connections &connections) {
  if (failure.sqlstate != sqlstate::kCannotConnect || !failure.hint.starts_with(kUnreachableHint))
    return;
  failure.hint = connections.source_on_destination
                     ? "The destination server connects to the source as --source-on-target says. "
                       "Check that address, user and password from there."
                     : "The destination server connects to the source itself. If it reaches the "
                       "source under another address, give that one with --source-on-target.";
}

std::optional<std::string> join_conditions(const std::optional<std::string> &range,
                                           const std::optional<std::string> &where) {
  if (!range || !where)
    return range ? range : where;
  // The line end keeps a comment at the end of the user's condition from hiding the parenthesis.
  return fmt::format("({}) AND ({}\n)", *range, *where);
}

ConnInfo parse_conninfo(std::string_view server, std::string_view text) {
  try {
    return ConnInfo::parse(text);
  } catch (const Error &error) {
    throw Failure(ExitStatus::kUsage,
                  Error(error.sqlstate(), fmt::format("{}: {}", server, error.message()),
                        error.detail(), error.hint()));
  }
}

SourceTables inspect_source(const Options &options, Waiter &waiter) {
  return in_session(
      options, waiter,
      [&](SourceSession &session, SourceTables &tables) {
        TableSelection selection = select_tables(session, names_of(options.selection));
        JobMaker maker(session, options, selection);
        for (const SelectedTable &table : selection.tables)
          tables.jobs.push_back(maker.make(table));
        tables.missing = std::move(selection.missing);
        tables.cut_names = std::move(selection.cut_names);
      });
}

SourceTables reach_source(const Options &options, Waiter &waiter) {
  return in_session(
      options, waiter, [](SourceSession &, SourceTables &) {});
}

std::string source_for_destination(const Options &options, const SourceTables &source) {
  return options.connections.source_on_destination.value_or(source.address.to_conninfo());
}

} // namespace parallel_loader
