// destination: see destination.hpp.
#include "orchestrator/destination.hpp"

#include "orchestrator/failure.hpp"

#include <fmt/format.h>

namespace parallel_loader {

namespace {

/// A load takes as long as it takes, whatever limits the role or the database has.  Conditions and
/// bounds are read as the source reads them for us: UTF-8, UTC, month first.
void pin_settings(Connection &connection) {
  // Those that this server's version does not have are not in pg_settings.
  connection.exec("SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings "
                  "WHERE name IN ('statement_timeout', 'lock_timeout', "
                  "'idle_in_transaction_session_timeout', 'idle_session_timeout', "
                  "'transaction_timeout')");
  connection.exec("SELECT pg_catalog.set_config('client_encoding', 'UTF8', false), "
                  "pg_catalog.set_config('TimeZone', 'UTC', false), "
                  "pg_catalog.set_config('DateStyle', 'ISO, MDY', false), "
                  "pg_catalog.set_config('client_min_messages', 'notice', false), "
                  "pg_catalog.set_config('log_parameter_max_length_on_error', '0', false)");
  // The source's password is a parameter: a server that logs statements would log it too.  Only a
  // superuser may tell it not to.
  connection.exec("SELECT pg_catalog.set_config('log_parameter_max_length', '0', false) "
                  "FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper");
}

} // namespace

Destination Destination::open(const ConnInfo &conninfo, Waiter &waiter) {
  Destination destination(failing_with(ExitStatus::kDestinationUnreachable, [&] {
    return Connection::open(conninfo, "parallel-loader", Peer::kDestination, waiter);
  }));
  pin_settings(destination.connection_);
  destination.find_extension();
  return destination;
}

void Destination::find_extension() {
  const Rows rows = connection_.exec("SELECT n.nspname FROM pg_catalog.pg_extension AS e "
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
}

TargetTable Destination::find_table(const QualifiedName &name) {
  const Rows rows =
      connection_.exec("SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class AS c "
                       "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
                       "WHERE c.oid = pg_catalog.to_regclass($1::text)",
                       {name.quoted()});
  if (rows.empty())
    throw Error(sqlstate::kUndefinedTable,
                fmt::format("table \"{}\" does not exist on the destination", name.display()), "",
                "Create it first, for example with pg_dump --schema-only --table.");
  return {.oid = static_cast<uint32_t>(rows.integer(0, 0)),
          .name = {.schema = rows.text(0, 1), .name = rows.text(0, 2)}};
}

int64_t Destination::create_pull(const PullCall &call) {
  const std::string sql = fmt::format(
      "SELECT {}.parallel_pull_create(src_dsn => $1::text, \"table\" => $2::pg_catalog.regclass, "
      "source_table => $3::text, key => $4::text, columns => $5::text[], filter => $6::text, "
      "workers => $7::integer, format => $8::text, chunk_size => $9::text)",
      schema_);
  const Param columns = call.columns ? Param(array_literal(*call.columns)) : std::nullopt;
  // By bind parameter: statements are logged and shown in pg_stat_activity, and the source's
  // password is in the first.
  const Rows rows = connection_.exec(
      sql, {call.source, std::to_string(call.table), call.source_table, call.key, columns,
            call.filter, std::to_string(call.workers), call.format, call.chunk_size});
  return rows.integer(0, 0);
}

void Destination::work(int64_t pull_id, NoticeHandler on_notice) {
  connection_.on_notice(std::move(on_notice));
  connection_.exec(
      fmt::format("SELECT chunks, rows, bytes, remaining FROM {}.parallel_pull_work($1::bigint)",
                  schema_),
      {std::to_string(pull_id)});
}

PullStatus Destination::read_pull(int64_t pull_id) {
  const Rows rows = connection_.exec(
      fmt::format("SELECT p.state, p.rows, p.bytes, d.rows, d.bytes, p.chunks, p.chunks_done, "
                  "p.key, p.format, p.sqlstate, p.error "
                  "FROM {0}.parallel_pulls AS p CROSS JOIN ("
                  "SELECT pg_catalog.sum(rows)::bigint AS rows, pg_catalog.sum(bytes)::bigint AS "
                  "bytes FROM {0}.parallel_pull_chunks WHERE pull_id = $1::bigint AND state = "
                  "'done') AS d WHERE p.pull_id = $1::bigint",
                  schema_),
      {std::to_string(pull_id)});
  if (rows.empty())
    throw Error(sqlstate::kUndefinedObject, fmt::format("pull {} does not exist", pull_id));
  return {.state = parse_run_state(rows.text(0, 0)),
          .row_count = rows.integer(0, 1),
          .byte_count = rows.integer(0, 2),
          .done_row_count = rows.integer(0, 3),
          .done_byte_count = rows.integer(0, 4),
          .chunk_count = static_cast<int>(rows.integer(0, 5)),
          .chunk_done_count = static_cast<int>(rows.integer(0, 6)),
          .key = rows.text(0, 7),
          .format = rows.text(0, 8),
          .sqlstate = rows.text(0, 9),
          .error = rows.text(0, 10)};
}

void Destination::cancel_pull(int64_t pull_id) {
  connection_.exec(fmt::format("SELECT {}.parallel_pull_cancel($1::bigint)", schema_),
                   {std::to_string(pull_id)});
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
