#include "orchestrator/commands/source.hpp"

#include "core/plan/range.hpp"
#include "core/source/filter_path.hpp"
#include "core/source/source_session.hpp"
#include "core/source/source_table.hpp"
#include "core/source/types.hpp"
#include "orchestrator/base/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
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

/// The key that --start and --end are values of.
Key resolve_key(Executor &source, const SourceTable &table, const Selection &options) {
  const std::optional<std::string> name =
      options.key ? options.key : find_default_key(source, table);
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

std::string range_condition(Executor &source, const Key &key, const Selection &options) {
  const auto resolved = failing_with(ExitStatus::kUsage, [&] {
    return resolve_range(source, key, untyped(options.start), untyped(options.end));
  });
  return resolved.is_empty ? "false" : key.condition(resolved.range);
}

/// The name in "The source has NAME.", as a shell reads it between single quotes.
std::string named_in(std::string_view detail) {
  constexpr std::string_view kBefore = "The source has ";
  std::string name;
  for (const char c : detail.substr(std::min(kBefore.size(), detail.size())))
    name += c == '\'' ? "'\\''" : std::string(1, c);
  if (name.ends_with('.'))
    name.pop_back();
  return name;
}

SourceTable find_table(SourceSession &session, const QualifiedName &name) {
  try {
    return SourceTable::find(session.connection(), name, session.search_path());
  } catch (const Error &error) {
    if (error.sqlstate() != sqlstate::kUndefinedTable)
      throw;
    // core/ speaks of the SQL functions' parameters.
    if (!error.detail().empty())
      throw Error(error.sqlstate(), error.message(), error.detail(),
                  "Put names with capitals into double quotes, and the whole into single quotes "
                  "for the shell, as in '" +
                      named_in(error.detail()) + "'.");
    throw Error(error.sqlstate(), error.message(), error.detail(),
                "Give its schema if that is not in the search path of the source's user: "
                "SCHEMA.TABLE. If the names differ: TABLE=TARGET_TABLE.");
  }
}

/// As SQL cuts a name: to the server's length, in its encoding.
std::string cut_name(Executor &source, const std::string &name, std::vector<CutName> &cut_names) {
  std::string cut =
      source.exec("SELECT $1::pg_catalog.text::pg_catalog.name::pg_catalog.text", {name})
          .text(0, 0);
  if (cut != name)
    cut_names.push_back({name, cut});
  return cut;
}

SourceView inspect_table(SourceSession &session, const ConnInfo &conninfo, const Selection &options,
                         const QualifiedName &given) {
  Connection &source = session.connection();
  std::vector<CutName> cut_names;
  const SourceTable table = find_table(session, {cut_name(source, given.schema, cut_names),
                                                 cut_name(source, given.name, cut_names)});
  SourceView view{.conninfo = address_of(source, conninfo),
                  .table = table.name,
                  .key = options.key,
                  .filter = options.where,
                  .estimated_bytes = options.where || options.columns ? 0 : table.bytes,
                  .cut_names = std::move(cut_names)};
  if (options.start || options.end) {
    const Key key = resolve_key(source, table, options);
    view.key = key.text();
    if (options.where) // by itself: the destination sees both as one
      require_readable_filter(source, session.filter_path(), table.probe_item(), *options.where);
    view.filter = join_conditions(range_condition(source, key, options), options.where);
    view.estimated_bytes = 0;
  }
  return view;
}

/// A source that was lost halfway is unreachable, whatever was being asked.
bool is_connection_failure(const Error &error) {
  return error.sqlstate().starts_with("08");
}

} // namespace

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

SourceView inspect_source(const Options &options, const TableArgument &table, Waiter &waiter) {
  const ConnInfo conninfo = parse_conninfo("source", options.connections.source);
  try {
    SourceSession session =
        SourceSession::open(conninfo, "parallel-loader", PasswordRule::kAny, waiter);
    session.begin({.encoding = "UTF8", .date_order = "MDY"}, std::nullopt);
    SourceView view = inspect_table(session, conninfo, options.selection, table.table);
    session.end();
    return view;
  } catch (const Error &error) {
    if (error.sqlstate() == sqlstate::kCannotConnect)
      throw Failure(ExitStatus::kSourceUnreachable,
                    error.with_detail("This machine made the connection."));
    if (is_connection_failure(error))
      throw Failure(ExitStatus::kSourceUnreachable, error);
    throw;
  }
}

} // namespace parallel_loader
