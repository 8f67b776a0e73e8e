#include "orchestrator/run/destination.hpp"

#include "core/base/pinned_settings.hpp"

#include "orchestrator/base/failure.hpp"
#include "orchestrator/base/version.hpp"

#include <fmt/format.h>

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
  std::string sql = "SELECT pg_catalog.current_setting('is_superuser')";
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

/// The table $1, its partitions, and what it is a partition of.
constexpr std::string_view kRelatives =
    "SELECT $1::pg_catalog.oid "
    "UNION ALL SELECT relid::pg_catalog.oid "
    "FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) "
    "UNION ALL SELECT relid::pg_catalog.oid "
    "FROM pg_catalog.pg_partition_ancestors($1::pg_catalog.oid::pg_catalog.regclass)";

/// The first key of the advisory locks of SoleLoad; the second is the table.
constexpr int32_t kSoleLoadLock = 0x504c0001; // "PL"

} // namespace

Error loading_error(const QualifiedName &table, int64_t pull_id) {
  return {"55006", fmt::format("pull {} loads table {}, too", pull_id, table.cited()),
          "Its rows could be there twice.",
          "Wait until that pull has ended, or cancel it, and look at the table before you copy it "
          "again."};
}

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
    const Rows is_superuser = connection_.exec(settings_statement(connection_.server_version()));
    // The source's password is a parameter: a server that logs statements would log it too.  Only a
    // superuser may tell it not to.
    if (is_superuser.text(0, 0) == "on")
      connection_.exec("SELECT pg_catalog.set_config('log_parameter_max_length', '0', true)");
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
      for (const auto &[name, value] : terms.settings)
        connection_.exec("SELECT pg_catalog.set_config('parallel_loader.' || $1, $2, true)",
                         {name, value});
      if (terms.sole)
        require_sole(*terms.sole);
      return connection_.exec(sql, params);
    });
  } catch (const Error &error) {
    throw with_grant(error, function);
  }
}

// Two programs that are started at once find the table empty, both of them.  The lock is the
// transaction's, as a pooler may stand between.
void Destination::require_sole(const SoleLoad &sole) {
  const std::string table = std::to_string(sole.table);
  connection_.exec("SELECT pg_catalog.pg_advisory_xact_lock($1::pg_catalog.int4, "
                   "$2::pg_catalog.oid::pg_catalog.int4)",
                   {std::to_string(kSoleLoadLock), table});
  const Rows rows = connection_.exec(
      fmt::format("SELECT p.table_name, p.pull_id FROM {0}.parallel_pulls AS p "
                  "WHERE p.\"table\"::pg_catalog.oid OPERATOR(pg_catalog.=) ANY (ARRAY({1})) "
                  "AND p.pull_id OPERATOR(pg_catalog.>) $2::pg_catalog.int8 "
                  "AND (p.chunks_done OPERATOR(pg_catalog.>) 0 OR p.state "
                  "OPERATOR(pg_catalog.=) ANY ('{{planned,running,paused}}'::pg_catalog.text[])) "
                  "LIMIT 1",
                  schema_, kRelatives),
      {table, std::to_string(sole.newest_pull)});
  if (!rows.empty())
    throw loading_error(parse_qualified_name(rows.text(0, 0)), rows.integer(0, 1));
}

// The server's own error has no hint, and its words are in the language of its messages.
Error Destination::with_grant(const Error &error, std::string_view function) {
  if (error.sqlstate() != sqlstate::kInsufficientPrivilege || !error.hint().empty())
    return error;
  try {
    const Rows lacking =
        query("SELECT pg_catalog.quote_ident(current_user::text) FROM pg_catalog.pg_proc AS p "
              "WHERE p.proname = $1::pg_catalog.name "
              "AND p.pronamespace = $2::pg_catalog.regnamespace "
              "AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE')",
              {"parallel_pull_" + std::string(function), schema_});
    if (lacking.empty())
      return error;
    return {
        error.sqlstate(), error.message(), error.detail(),
        fmt::format("Run on the destination: GRANT EXECUTE ON FUNCTION {}.parallel_pull_{} TO {};",
                    schema_, function, lacking.text(0, 0))};
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
  // Found along the user's search path, described under ours.
  const Rows found =
      call("SELECT pg_catalog.to_regclass($1::pg_catalog.text)::pg_catalog.oid", {name.quoted()});
  const Rows rows = query("SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class AS c "
                          "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
                          "WHERE c.oid = $1::pg_catalog.oid",
                          {found.at(0, 0)});
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
