#include "core/check/local_check.hpp"

#include "core/base/list.hpp"
#include "core/base/size_text.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr int64_t kMegabyte = 1 << 20;
constexpr int64_t kBigBytes = 64 * kMegabyte;    // from here on indexes are worth a word
constexpr int64_t kHugeBytes = 1024 * kMegabyte; // and from here on a warning

Param oid(const LocalCheck &check) {
  return std::to_string(check.table);
}

constexpr std::string_view kColumns = R"sql(
SELECT a.attname, a.attname::pg_catalog.text = ANY ($2::pg_catalog.text[]),
  pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'INSERT'),
  (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull))
    AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '' AND t.typdefault IS NULL,
  a.attgenerated <> '', current_user,
  EXISTS (SELECT FROM pg_catalog.pg_depend AS d
          WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
            AND EXISTS (SELECT FROM pg_catalog.pg_class AS s
                        WHERE s.oid = d.objid AND s.relkind = 'S')),
  EXISTS (SELECT FROM pg_catalog.pg_trigger AS g
          WHERE g.tgrelid = a.attrelid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
            -- 1: for each row, 2: before, 4: INSERT.
            AND g.tgtype::integer & 7 = 7)
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum)sql";

// A column that does not travel.
void report_default(const Rows &rows, size_t row, const LocalCheck &check, Findings &findings) {
  const std::string name = rows.text(row, 0);
  const bool must_be_filled = rows.boolean(row, 3);
  const bool has_trigger = rows.boolean(row, 7);
  if (must_be_filled && has_trigger)
    findings.warning("columns",
                     "column \"" + name +
                         "\" would not be copied, has no default, and must not be null: a trigger "
                         "has to set it");
  else if (must_be_filled)
    findings.error("columns",
                   "null value in column \"" + name + "\" of relation \"" + check.name.name +
                       "\" violates not-null constraint",
                   "The column would not be copied, and has no default. Give it one.");
  else if (!rows.boolean(row, 4))
    findings.info("columns", "column \"" + name + "\" would not be copied: it gets its default");
}

constexpr std::string_view kTriggers = R"sql(
SELECT t.tgname, t.tgtype::integer & 1 <> 0
FROM pg_catalog.pg_trigger AS t
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgtype::integer & 4 <> 0
  AND t.tgenabled IN ('A', CASE WHEN $2::pg_catalog.bool THEN 'R' ELSE 'O' END)
  AND (t.tgrelid = $1::pg_catalog.oid
       OR t.tgrelid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid) AS p))
ORDER BY t.tgname)sql";

void check_triggers(Executor &server, const LocalCheck &check, Findings &findings) {
  const Rows rows =
      server.exec(kTriggers, {oid(check), Param(check.is_replica ? "true" : "false")});
  for (size_t row = 0; row < rows.size(); ++row)
    findings.warning(
        "triggers",
        "trigger \"" + rows.text(row, 0) + "\" fires for " +
            (rows.boolean(row, 1) ? "every row" : "every part of a chunk of about 4 MB"),
        "Disable it during the pull if the rows do not need it.");
}

// The catalogue has conenforced from version 18 on: a constraint that is not enforced is none.
constexpr std::string_view kForeignKeys = R"sql(
SELECT k.conname, n.nspname, c.relname
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.conrelid = $1::pg_catalog.oid AND k.contype = 'f' AND k.conparentid = 0
  AND k.confrelid <> k.conrelid
  AND coalesce(pg_catalog.to_jsonb(k) ->> 'conenforced', 'true') = 'true'
ORDER BY k.conname)sql";

void check_foreign_keys(Executor &server, const LocalCheck &check, Findings &findings) {
  if (check.is_replica)
    return; // their triggers do not fire
  const Rows rows = server.exec(kForeignKeys, {oid(check)});
  for (size_t row = 0; row < rows.size(); ++row)
    findings.warning("foreign keys",
                     "foreign key \"" + rows.text(row, 0) + "\" is checked for every row",
                     "Pull table " + QualifiedName{rows.text(row, 1), rows.text(row, 2)}.cited() +
                         " first, or add the constraint after the pull.");
}

constexpr std::string_view kHasRows = R"sql(
SELECT pg_catalog.has_table_privilege($1::pg_catalog.oid, 'SELECT')
    AND NOT pg_catalog.row_security_active($1::pg_catalog.oid),
  coalesce((SELECT pg_catalog.sum(pg_catalog.pg_relation_size(p.relid))
            FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid) AS p WHERE p.isleaf),
           pg_catalog.pg_relation_size($1::pg_catalog.oid)) > 0)sql";

// Without the right to look inside, dead rows count as well.
bool check_rows(Executor &server, const LocalCheck &check, Findings &findings) {
  const Rows row = server.exec(kHasRows, {oid(check)});
  const bool has_rows =
      row.boolean(0, 0)
          ? server.exec("SELECT EXISTS (SELECT FROM " + check.from_item + ")").boolean(0, 0)
          : row.boolean(0, 1);
  if (has_rows)
    findings.warning("rows",
                     "table " + check.name.cited() +
                         " is not empty: the pull adds rows to those that are there",
                     "If they came from the source, run TRUNCATE TABLE " + check.name.quoted() +
                         "; first, or append, or pull a range that is missing.");
  return has_rows;
}

constexpr std::string_view kIndexes = R"sql(
SELECT n.nspname, c.relname, pg_catalog.pg_relation_size(c.oid), i.indisunique
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indrelid = $1::pg_catalog.oid
ORDER BY i.indisunique, c.relname)sql";

// A unique index guards rows that are there, so it is worth a word before a first load only.
void check_indexes(Executor &server, const LocalCheck &check, bool is_empty, Findings &findings) {
  if (!is_empty && check.source_bytes < kBigBytes)
    return;
  const Rows rows = server.exec(kIndexes, {oid(check)});
  for (size_t row = 0; row < rows.size(); ++row) {
    if (rows.boolean(row, 3) && !is_empty)
      continue;
    const std::string name = QualifiedName{rows.text(row, 0), rows.text(row, 1)}.cited();
    std::string message =
        "index " + name + " (" + size_text(rows.integer(row, 2)) + ") gets an entry for every row";
    std::string hint = "A large pull is faster if the index is created afterwards.";
    if (check.source_bytes >= kHugeBytes)
      findings.warning("indexes", std::move(message), std::move(hint));
    else
      findings.info("indexes", std::move(message), std::move(hint));
  }
}

// Returns how a size reads where one is known.
std::string about(int64_t bytes) {
  return bytes > 0 ? "about " + size_text(bytes) : "data of undetermined size";
}

constexpr std::string_view kStorage = R"sql(
SELECT c.relpersistence = 'u',
  coalesce(t.spcname, (SELECT dt.spcname FROM pg_catalog.pg_database AS d
                       JOIN pg_catalog.pg_tablespace AS dt ON dt.oid = d.dattablespace
                       WHERE d.datname = pg_catalog.current_database())),
  pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size')),
  pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('archive_mode')
FROM pg_catalog.pg_class AS c LEFT JOIN pg_catalog.pg_tablespace AS t ON t.oid = c.reltablespace
WHERE c.oid = $1::pg_catalog.oid)sql";

void check_storage(Executor &server, const LocalCheck &check, Findings &findings) {
  const Rows row = server.exec(kStorage, {oid(check)});
  if (row.empty())
    return;
  findings.info("disk",
                about(check.source_bytes) + " would be stored in tablespace \"" + row.text(0, 1) +
                    "\", and indexes in addition",
                "SQL does not show the free space: check the disk.");
  if (row.boolean(0, 0)) {
    findings.warning("storage", "table " + check.name.cited() + " is unlogged: a crash empties it",
                     "Run ALTER TABLE " + check.name.quoted() + " SET LOGGED; after the pull.");
    return;
  }
  const int64_t wal_bytes = row.integer(0, 2);
  const std::string settings =
      "wal_level = " + row.text(0, 3) + ", archive_mode = " + row.text(0, 4);
  if (check.source_bytes > wal_bytes)
    findings.warning("write-ahead log",
                     "the pull writes " + about(check.source_bytes) +
                         " of write-ahead log, and max_wal_size is " + size_text(wal_bytes) + " (" +
                         settings + ")",
                     "Raise max_wal_size during the pull, so that checkpoints are rare.");
  else
    findings.info("write-ahead log", "the pull writes " + about(check.source_bytes) +
                                         " of write-ahead log (" + settings + ")");
}

// A slot that has reserved nothing yet keeps no WAL, nor does one that is lost or invalidated.
void check_replication_slots(Executor &server, Findings &findings) {
  const Rows rows =
      server.exec("SELECT s.slot_name FROM pg_catalog.pg_replication_slots AS s "
                  "WHERE NOT s.active AND s.restart_lsn IS NOT NULL AND s.wal_status <> 'lost' "
                  "ORDER BY s.slot_name");
  for (size_t row = 0; row < rows.size(); ++row)
    findings.warning("write-ahead log",
                     "replication slot \"" + rows.text(row, 0) +
                         "\" is not active: it retains all WAL that the pull writes",
                     "Drop it if it is not needed. Otherwise the disk may fill up.");
}

// Processes that have no slot of max_worker_processes.
constexpr std::string_view kWorkerSlots = R"sql(
SELECT pg_catalog.current_setting('max_worker_processes')::bigint - pg_catalog.count(*)
FROM pg_catalog.pg_stat_activity AS a
WHERE a.backend_type NOT IN ('client backend', 'autovacuum launcher', 'autovacuum worker',
  'background writer', 'checkpointer', 'walwriter', 'walsender', 'walreceiver', 'startup',
  'archiver', 'logger', 'io worker', 'slotsync worker', 'walsummarizer', 'standalone backend'))sql";

void check_worker_slots(Executor &server, const LocalCheck &check, Findings &findings) {
  const int64_t slot_count = std::max<int64_t>(server.exec(kWorkerSlots).integer(0, 0), 0);
  const int64_t wanted = check.workers + 1; // and the coordinator
  const std::string counts = std::to_string(slot_count) +
                             " background worker slots are free, and " + "the pull requests " +
                             std::to_string(wanted);
  constexpr std::string_view kHint =
      "Raise max_worker_processes to have more background worker slots.";
  if (slot_count == 0)
    findings.warning("workers", "no background worker slot is free: a pull waits for one",
                     "Raise max_worker_processes, or wait until other workers have ended.");
  else if (slot_count < wanted)
    findings.warning("workers", counts, std::string(kHint));
  else
    findings.info("workers", counts);
}

void check_time_limits(Executor &server, Findings &findings) {
  const std::string limit =
      server.exec("SELECT pg_catalog.current_setting('statement_timeout')").text(0, 0);
  if (limit != "0")
    findings.info("time limits",
                  "statement_timeout of this session, " + limit +
                      ", bounds a call that waits for the pull",
                  "Use parallel_pull_start, which does not wait.");
}

} // namespace

void check_local_columns(Executor &server, const LocalCheck &check,
                         std::span<const std::string> columns, Findings &findings) {
  const Rows rows = server.exec(kColumns, {oid(check), Param(array_literal(columns))});
  std::string missing;
  for (size_t row = 0; row < rows.size(); ++row) {
    const std::string name = rows.text(row, 0);
    const bool travels = rows.boolean(row, 1);
    if (!travels)
      report_default(rows, row, check, findings);
    else if (!rows.boolean(row, 2))
      add_to_list(missing, quote_identifier(name));
    if (travels && rows.boolean(row, 6))
      findings.info("sequences",
                    "column \"" + name +
                        "\" gets the source's values, and its sequence is not changed",
                    "Call parallel_pull_sequences after the pull.");
  }
  if (!missing.empty())
    findings.error("rights", "permission denied for table " + check.name.name,
                   "GRANT INSERT (" + missing + ") ON " + check.name.quoted() + " TO " +
                       quote_identifier(rows.text(0, 5)) + ";");
}

void check_local_table(Executor &server, const LocalCheck &check, Findings &findings) {
  check_triggers(server, check, findings);
  check_foreign_keys(server, check, findings);
  const bool is_empty = !check_rows(server, check, findings);
  check_indexes(server, check, is_empty, findings);
}

void check_local_server(Executor &server, const LocalCheck &check, Findings &findings) {
  check_storage(server, check, findings);
  check_replication_slots(server, findings);
  if (check.has_slots)
    check_worker_slots(server, check, findings);
  check_time_limits(server, findings);
}

} // namespace parallel_loader
