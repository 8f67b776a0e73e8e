#include "core/check/source_check.hpp"

#include "core/base/list.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr std::string_view kConnection = R"sql(
SELECT pg_catalog.current_setting('server_version'), pg_catalog.current_database(), current_user,
  pg_catalog.inet_server_addr() IS NULL, coalesce(s.ssl, false), s.version,
  coalesce((SELECT g.encrypted FROM pg_catalog.pg_stat_gssapi AS g
            WHERE g.pid = pg_catalog.pg_backend_pid()), false)
FROM (SELECT) AS one
LEFT JOIN pg_catalog.pg_stat_ssl AS s ON s.pid = pg_catalog.pg_backend_pid())sql";

void check_connection(Executor &source, Findings &findings) {
  const Rows row = source.exec(kConnection);
  std::string message = "source is PostgreSQL " + row.text(0, 0) + ", database \"" +
                        row.text(0, 1) + "\", role \"" + row.text(0, 2) + "\", ";
  const bool is_local = row.boolean(0, 3);
  if (row.boolean(0, 4) || row.boolean(0, 6)) {
    findings.info("connection", message + "encrypted with " +
                                    (row.boolean(0, 4) ? row.text(0, 5) : std::string("GSSAPI")));
  } else if (is_local) {
    findings.info("connection", message + "through a local socket");
  } else {
    findings.info("connection", message + "without encryption");
    findings.warning(
        "connection", "rows and passwords cross the network without encryption",
        "Set sslmode to require or better, in the connection string or as an option of the "
        "foreign server.");
  }
}

constexpr std::string_view kStandby = R"sql(
SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('hot_standby_feedback'),
  pg_catalog.current_setting('max_standby_streaming_delay'))sql";

void check_standby(Executor &source, Findings &findings) {
  const Rows row = source.exec(kStandby);
  if (!row.boolean(0, 0))
    return;
  if (row.text(0, 1) == "on")
    findings.info("standby", "source is a standby with hot_standby_feedback");
  else
    findings.warning("standby",
                     "source is a standby without hot_standby_feedback: the pull ends if its "
                     "snapshot delays replay for longer than max_standby_streaming_delay (" +
                         row.text(0, 2) + ")",
                     "Set hot_standby_feedback = on there, or raise max_standby_streaming_delay.");
}

// pg_stat_activity shows each role its own sessions only; the statistics count all of them.
constexpr std::string_view kSessions = R"sql(
SELECT pg_catalog.current_setting('max_connections')::bigint
    - pg_catalog.current_setting('superuser_reserved_connections')::bigint
    - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::bigint
    - (SELECT pg_catalog.sum(numbackends) FROM pg_catalog.pg_stat_database),
  CASE WHEN r.rolconnlimit < 0 THEN NULL ELSE r.rolconnlimit
    - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.usesysid = r.oid)
  END,
  CASE WHEN d.datconnlimit < 0 THEN NULL ELSE d.datconnlimit
    - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.datid = d.oid)
  END
FROM pg_catalog.pg_roles AS r, pg_catalog.pg_database AS d
WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database())sql";

void check_sessions(Executor &source, int workers, Findings &findings) {
  constexpr std::string_view kSettings[] = {"max_connections", "the role's CONNECTION LIMIT",
                                            "the database's CONNECTION LIMIT"};
  const Rows row = source.exec(kSessions);
  for (size_t index = 0; index < std::size(kSettings) && !row.empty(); ++index) {
    // The pull's first session takes the place of this one.
    if (row.is_null(0, index) || row.integer(0, index) >= workers)
      continue;
    findings.warning("sessions",
                     "source has room for " +
                         std::to_string(std::max<int64_t>(row.integer(0, index), 0) + 1) +
                         " sessions, but the pull requests " + std::to_string(workers + 1) + " (" +
                         std::string(kSettings[index]) + ")",
                     "Use fewer workers, or raise the limit.");
  }
}

constexpr std::string_view kTimeLimits = R"sql(
SELECT pg_catalog.string_agg(DISTINCT c.setting, ', ')
FROM pg_catalog.pg_db_role_setting AS s
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(setting)
WHERE c.setting LIKE '%\_timeout=%'
  AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database
                            WHERE datname = pg_catalog.current_database()))
  AND s.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user)))sql";

void check_role_timeouts(Executor &source, Findings &findings) {
  const Rows row = source.exec(kTimeLimits);
  if (!row.is_null(0, 0))
    findings.info("time limits",
                  "timeouts of the source's role or database do not apply to the pull: " +
                      row.text(0, 0));
}

void check_snapshot_age(Executor &source, Findings &findings) {
  const Rows row = source.exec(
      "SELECT pg_catalog.current_setting('old_snapshot_threshold', true) NOT IN ('-1', '')");
  if (row.boolean(0, 0))
    findings.warning("snapshot",
                     "source limits the age of snapshots (old_snapshot_threshold): a pull that "
                     "takes longer fails",
                     "Set old_snapshot_threshold = -1 there, which requires a restart.");
}

} // namespace

void check_source_server(Executor &source, int workers, Findings &findings) {
  check_connection(source, findings);
  check_standby(source, findings);
  check_sessions(source, workers, findings);
  check_role_timeouts(source, findings);
  check_snapshot_age(source, findings);
}

void check_source_row_security(Executor &source, const SourceTable &table, Findings &findings) {
  if (source
          .exec("SELECT pg_catalog.row_security_active($1::pg_catalog.oid)",
                {Param(std::to_string(table.oid))})
          .boolean(0, 0))
    findings.error("row security",
                   "could not read from source: query would be affected by row-level security "
                   "policy for table \"" +
                       table.name.name + "\"",
                   "Read as the table's owner, or as a role with BYPASSRLS.");
}

std::string missing_source_rights(Executor &source, const SourceTable &table,
                                  std::span<const std::string> columns) {
  const Rows rows = source.exec(R"sql(
SELECT a.attname, pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE'),
  pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'), current_user
FROM pg_catalog.pg_class AS c
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
  AND NOT a.attisdropped AND a.attname::pg_catalog.text = ANY ($2::pg_catalog.text[])
WHERE c.oid = $1::pg_catalog.oid ORDER BY a.attnum)sql",
                                {Param(std::to_string(table.oid)), Param(array_literal(columns))});
  std::string missing;
  bool has_all = true;
  for (size_t row = 0; row < rows.size(); ++row) {
    if (!rows.is_null(row, 0) && !rows.boolean(row, 2))
      add_to_list(missing, quote_identifier(rows.text(row, 0)));
    has_all = has_all && !rows.is_null(row, 0) && !rows.boolean(row, 2);
  }
  if (rows.empty())
    return {};
  const std::string to = " TO " + quote_identifier(rows.text(0, 3)) + ";";
  std::string grants;
  if (!rows.boolean(0, 1))
    grants = " GRANT USAGE ON SCHEMA " + quote_identifier(table.name.schema) + to;
  if (!missing.empty())
    grants += " GRANT SELECT " + (has_all ? std::string() : "(" + missing + ") ") + "ON " +
              table.name.quoted() + to;
  return grants.empty() ? std::string() : "Run on the source:" + grants;
}

void check_encodings(std::string_view source, std::string_view destination, Findings &findings) {
  if (source == destination)
    return;
  const std::string message = "source has encoding " + std::string(source) +
                              ", this database has " + std::string(destination);
  if (source == "SQL_ASCII")
    findings.warning("encoding", message,
                     "Bytes that are not valid in " + std::string(destination) + " end the pull.");
  else if (destination == "UTF8")
    findings.info("encoding", message + ": text is converted");
  else if (destination == "SQL_ASCII")
    findings.warning("encoding", message, "Bytes are copied unchanged.");
  else
    findings.warning("encoding", message,
                     "A character that " + std::string(destination) + " lacks ends the pull.");
}

} // namespace parallel_loader
