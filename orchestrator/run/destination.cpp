#include "orchestrator/run/destination.hpp"

#include "core/base/list.hpp"
#include "core/base/pinned_settings.hpp"

#include "orchestrator/base/failure.hpp"
#include "orchestrator/base/version.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <span>

namespace parallel_loader {

namespace {

/// Conditions and bounds are read as the source reads them for us: UTF-8, UTC, month first.
constexpr PinnedSetting kSettings[] = {{"lock_timeout", "0"},
                                       {"client_encoding", "UTF8"},
                                       {"TimeZone", "UTC"},
                                       {"DateStyle", "ISO, MDY"},
                                       {"client_min_messages", "notice"},
                                       {"log_parameter_max_length_on_error", "0"}};

/// Until the transaction's end: behind a pooler the session is somebody else's next.  The names are
/// qualified, as the user's search path is in force.
std::string settings_statement(int server_version) {
  // The source's password is a parameter: a server that logs statements would log it too.  Only a
  // superuser may tell it not to.
  std::string sql = "SELECT CASE pg_catalog.current_setting('is_superuser') WHEN 'on' "
                    "THEN pg_catalog.set_config('log_parameter_max_length', '0', true) END";
  const auto add = [&](std::span<const PinnedSetting> settings) {
    for (const PinnedSetting &setting : settings)
      if (server_version >= setting.since_version)
        sql +=
            fmt::format(", pg_catalog.set_config('{}', '{}', true)", setting.name, setting.value);
  };
  add(kNoTimeouts);
  add(kSettings);
  return sql;
}

constexpr std::string_view kOwnPath =
    "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)";

/// The first key of the advisory locks of CallTerms; the second is the table.
constexpr int32_t kTableLock = 0x504c0001; // "PL"

} // namespace

Destination Destination::open(const ConnInfo &conninfo, Waiter &waiter) {
  Destination destination(failing_with(ExitStatus::kDestinationUnreachable, [&] {
    return Connection::open(conninfo, "parallel-loader", Server::kDestination, waiter);
  }));
  destination.find_extension();
  return destination;
}

/// What `fn` runs is one transaction, with settings of its own.
template <class Fn> Rows Destination::in_transaction(Fn fn) {
  connection_.exec("BEGIN ISOLATION LEVEL READ COMMITTED");
  try {
    connection_.exec(settings_statement(connection_.server_version()));
    Rows rows = fn();
    connection_.exec("COMMIT");
    return rows;
  } catch (...) {
    roll_back();
    throw;
  }
}

void Destination::roll_back() noexcept {
  try {
    connection_.exec("ROLLBACK");
  } catch (const std::exception &) {
    // The session is lost, and with it the transaction.
  }
}

Rows Destination::query(const std::string &sql, std::initializer_list<Param> params) {
  return in_transaction([&] {
    connection_.exec(kOwnPath);
    return connection_.exec(sql, params);
  });
}

Rows Destination::call(const std::string &sql, std::span<const Param> params) {
  return in_transaction([&] { return connection_.exec(sql, params); });
}

Rows Destination::call_function(std::string_view function, const std::string &sql,
                                std::span<const Param> params, const CallTerms &terms) {
  try {
    return in_transaction([&] {
      apply(terms);
      return connection_.exec(sql, params);
    });
  } catch (const Error &error) {
    throw with_grant(error, function);
  }
}

// Two programs that are started at once find the table empty, both of them.  The lock is the
// transaction's, as a pooler may stand between.
void Destination::apply(const CallTerms &terms) {
  std::string list;
  for (const auto &[name, value] : terms.settings)
    add_to_list(list, fmt::format("pg_catalog.set_config({}, {}, true)",
                                  quote_literal("parallel_loader." + name), quote_literal(value)));
  if (!list.empty())
    connection_.exec("SELECT " + list);
  lock_tables(terms.locked_tables);
}

// A partition and what it is a partition of have one lock.  All come in one order, as two may want
// the same ones.
void Destination::lock_tables(const std::vector<uint32_t> &tables) {
  if (tables.empty())
    return;
  connection_.exec(
      fmt::format(
          "SELECT pg_catalog.pg_advisory_xact_lock({}, r.oid::pg_catalog.int4) FROM ("
          "SELECT DISTINCT coalesce(pg_catalog.pg_partition_root(w.oid::pg_catalog.regclass"
          ")::pg_catalog.oid, w.oid) FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS w(oid) "
          "ORDER BY 1) AS r(oid)",
          kTableLock),
      {fmt::format("{{{}}}", fmt::join(tables, ","))});
}

Rows Destination::call_unless(const std::string &obstacles, std::span<const Param> params,
                              const std::string &sql, const std::vector<uint32_t> &locked_tables) {
  return in_transaction([&] {
    lock_tables(locked_tables);
    connection_.exec("SAVEPOINT look");
    connection_.exec(kOwnPath);
    Rows found = connection_.exec(obstacles, params);
    connection_.exec("ROLLBACK TO SAVEPOINT look");
    if (found.empty())
      connection_.exec(sql);
    return found;
  });
}

std::string Destination::lacking_grant(std::span<const std::string_view> functions) {
  std::vector<std::string> names;
  for (const std::string_view function : functions)
    names.push_back("parallel_pull_" + std::string(function));
  const Rows lacking = query(
      "SELECT pg_catalog.string_agg($1::text || '.' || pg_catalog.quote_ident(p.proname), ', ' "
      "ORDER BY p.proname), pg_catalog.quote_ident(current_user::text) "
      "FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = $1::pg_catalog.regnamespace "
      "AND p.proname = ANY ($2::pg_catalog.name[]) "
      "AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE')",
      {schema_, array_literal(names)});
  if (lacking.is_null(0, 0))
    return {};
  return fmt::format("Run on the destination: GRANT EXECUTE ON FUNCTION {} TO {};",
                     lacking.text(0, 0), lacking.text(0, 1));
}

void Destination::require_functions(std::span<const std::string_view> functions,
                                    std::span<const std::string_view> others) {
  if (lacking_grant(functions).empty())
    return;
  std::vector<std::string_view> all(functions.begin(), functions.end());
  all.insert(all.end(), others.begin(), others.end());
  throw Error(sqlstate::kInsufficientPrivilege,
              "permission denied for functions of extension \"parallel_loader\"", "",
              lacking_grant(all));
}

// The server's own error has no hint, and its words are in the language of its messages.
Error Destination::with_grant(const Error &error, std::string_view function) {
  if (error.sqlstate() != sqlstate::kInsufficientPrivilege || !error.hint().empty())
    return error;
  try {
    const std::string grant = lacking_grant({&function, 1});
    return grant.empty() ? error : Error(error.sqlstate(), error.message(), error.detail(), grant);
  } catch (const std::exception &) {
    return error; // without the hint
  }
}

void Destination::find_extension() {
  const Rows rows = query("SELECT n.nspname, e.extversion FROM pg_catalog.pg_extension AS e "
                          "JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace "
                          "WHERE e.extname = 'parallel_loader'");
  if (rows.empty())
    throw Failure(ExitStatus::kDestinationUnreachable,
                  Error(sqlstate::kUndefinedObject,
                        fmt::format("extension \"parallel_loader\" is not installed in "
                                    "destination database \"{}\"",
                                    connection_.resolved().get("dbname")),
                        "", "Run there: CREATE EXTENSION parallel_loader CASCADE;"));
  schema_ = quote_identifier(rows.text(0, 0));
  if (const std::string version = rows.text(0, 1); is_older(version, program_version()))
    throw Failure(
        ExitStatus::kDestinationUnreachable,
        Error("55000",
              fmt::format("extension \"parallel_loader\" of destination database \"{}\" has "
                          "version {}, but this program needs version {}",
                          connection_.resolved().get("dbname"), version, program_version()),
              "",
              fmt::format("Install version {} on that server, and run there: ALTER EXTENSION "
                          "parallel_loader UPDATE;",
                          program_version())));
}

TableInfo Destination::find_table(const QualifiedName &name) {
  // Along the user's search path, so operators have their schema.
  const Rows rows =
      call("SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class AS c "
           "JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace "
           "WHERE c.oid OPERATOR(pg_catalog.=) "
           "pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid",
           {name.quoted()});
  if (rows.empty())
    throw Error(sqlstate::kUndefinedTable,
                fmt::format("table {} does not exist on the destination", name.cited()), "",
                "Create it first, for example with pg_dump --schema-only --table.");
  return {.oid = static_cast<uint32_t>(rows.integer(0, 0)),
          .name = {.schema = rows.text(0, 1), .name = rows.text(0, 2)}};
}

std::string Destination::version() const {
  return fmt::format("{}.{}", connection_.server_version() / 10000,
                     connection_.server_version() % 10000);
}

bool Destination::is_alive() noexcept {
  try {
    connection_.exec("SELECT 1");
    return true;
  } catch (const std::exception &) {
    return false;
  }
}

ExitStatus Destination::status_of(const Error &error) noexcept {
  // The server reports a lost source as we report a lost server: only asking tells them apart.
  if (!is_alive())
    return ExitStatus::kDestinationUnreachable;
  return error.sqlstate() == sqlstate::kCannotConnect ||
                 error.sqlstate() == sqlstate::kConnectionLost
             ? ExitStatus::kSourceUnreachable
             : ExitStatus::kFailed;
}

} // namespace parallel_loader
