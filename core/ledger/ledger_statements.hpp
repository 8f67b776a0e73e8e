// ledger_statements: the SQL of the ledger's tables; ledger.hpp says what each is for.
#pragma once

#include "core/base/pure.hpp"

#include <string_view>

namespace parallel_loader::ledger_statements {

inline constexpr std::string_view kCreatePull = R"sql(
INSERT INTO @ledger@.pull (pull_id, run_id, owner, "table", source, source_table, key,
  range_start, range_end, columns, filter, format, workers, chunk_bytes, timezone, date_order,
  segment, kind, table_name, search_path, replication_role, coordinator, tables_to_come)
SELECT n.id, coalesce($1::bigint, n.id), $2::pg_catalog.oid::pg_catalog.regrole,
  $3::pg_catalog.oid::pg_catalog.regclass, $4::pg_catalog.text, $5::pg_catalog.text,
  $6::pg_catalog.text, $7::pg_catalog.text, $8::pg_catalog.text, $9::pg_catalog.text[],
  $10::pg_catalog.text, $11::pg_catalog.text, $12::integer, $13::bigint, $14::pg_catalog.text,
  $15::pg_catalog.text, $16::bigint, $17::pg_catalog.text,
  (SELECT pg_catalog.concat(pg_catalog.quote_ident(s.nspname), '.', pg_catalog.quote_ident(c.relname))
   FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
   WHERE c.oid = $3::pg_catalog.oid), $18::pg_catalog.text, $19::pg_catalog.text,
  coalesce($20::bigint, CASE WHEN $21::boolean THEN -n.id ELSE n.id END), $22::integer
FROM (SELECT pg_catalog.nextval(pg_catalog.pg_get_serial_sequence($23::pg_catalog.text,
        'pull_id')::pg_catalog.regclass) AS id) AS n
RETURNING pull_id)sql";

inline constexpr std::string_view kContinueRun = R"sql(
UPDATE @ledger@.pull SET tables_to_come = NULL
WHERE run_id = $1::bigint AND owner = $2::pg_catalog.oid::pg_catalog.regrole
  AND tables_to_come IS NOT NULL)sql";

inline constexpr std::string_view kRecordPlan = R"sql(
UPDATE @ledger@.pull
SET source_table = $2::pg_catalog.text, key = $3::pg_catalog.text,
  bound_type = $4::pg_catalog.text, format = $5::pg_catalog.text,
  columns = $6::pg_catalog.text[], snapshot = $7::pg_catalog.text,
  source_lsn = $8::pg_catalog.pg_lsn, source_system = $9::pg_catalog.text,
  source_timeline = $10::pg_catalog.text, source_database = $11::pg_catalog.text,
  source_version = $12::integer, snapshot_xmin = $13::bigint, snapshot_xmax = $14::bigint,
  source_relations = $15::pg_catalog.text, snapshot_lock = $16::bigint,
  snapshot_state = $17::pg_catalog.text, source_host = $18::pg_catalog.text,
  source_hostaddr = $19::pg_catalog.text, source_port = $20::pg_catalog.text,
  source_path = $21::pg_catalog.text[], began_empty = $22::boolean
WHERE pull_id = $1::bigint)sql";

// After those that the pull has already.  Within a run the biggest table comes first.
inline constexpr std::string_view kAddChunks = R"sql(
INSERT INTO @ledger@.chunk (pull_id, chunk, range_start, range_end, nulls, relation,
  estimated_rows, estimated_bytes, relation_oid, coordinator, priority)
SELECT $1::bigint, m.last + c.number::integer, c.range_start, c.range_end, c.nulls,
  nullif(c.relation, ''), c.estimated_rows, c.estimated_bytes,
  nullif(c.relation_oid, 0::pg_catalog.oid),
  (SELECT p.coordinator FROM @ledger@.pull AS p WHERE p.pull_id = $1::bigint), $9::bigint
FROM (SELECT coalesce(pg_catalog.max(o.chunk), 0) AS last FROM @ledger@.chunk AS o
      WHERE o.pull_id = $1::bigint) AS m
CROSS JOIN ROWS FROM (pg_catalog.unnest($2::pg_catalog.text[]),
                      pg_catalog.unnest($3::pg_catalog.text[]),
                      pg_catalog.unnest($4::boolean[]),
                      pg_catalog.unnest($5::pg_catalog.text[]),
                      pg_catalog.unnest($6::bigint[]),
                      pg_catalog.unnest($7::bigint[]),
                      pg_catalog.unnest($8::pg_catalog.oid[]))
  WITH ORDINALITY AS c(range_start, range_end, nulls, relation, estimated_rows, estimated_bytes,
                       relation_oid, number))sql";

inline constexpr std::string_view kDropChunks = R"sql(
DELETE FROM @ledger@.chunk WHERE pull_id = $1::bigint)sql";

inline constexpr std::string_view kRecordRelations = R"sql(
UPDATE @ledger@.pull SET source_relations = $2::pg_catalog.text WHERE pull_id = $1::bigint)sql";

inline constexpr std::string_view kRecordShapes = R"sql(
UPDATE @ledger@.pull
SET source_shape = $2::pg_catalog.text, local_shape = $3::pg_catalog.text,
  asked_key = $4::pg_catalog.text, asked_columns = $5::pg_catalog.text[],
  asked_format = $6::pg_catalog.text, asked_bound_type = $7::pg_catalog.text
WHERE pull_id = $1::bigint)sql";

inline constexpr std::string_view kLoadShapes = R"sql(
SELECT source_shape, local_shape, asked_key, asked_format, asked_bound_type, asked_columns IS NULL
FROM @ledger@.pull WHERE pull_id = $1::bigint)sql";

inline constexpr std::string_view kLoadRelations = R"sql(
SELECT coalesce(relation, ''), relation_oid, pg_catalog.bool_and(state = 'done')
FROM @ledger@.chunk WHERE pull_id = $1::bigint
GROUP BY relation, relation_oid ORDER BY pg_catalog.min(chunk))sql";

inline constexpr std::string_view kNameRelations = R"sql(
UPDATE @ledger@.chunk AS c SET relation_oid = f.oid
FROM ROWS FROM (pg_catalog.unnest($2::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.oid[]))
  AS f(relation, oid)
WHERE c.pull_id = $1::bigint AND c.relation_oid IS NULL AND coalesce(c.relation, '') = f.relation)sql";

inline constexpr std::string_view kLoadPlan = R"sql(
SELECT source_table, key, bound_type, format, snapshot, source_version, snapshot_lock,
  snapshot_state, source_host, source_hostaddr, source_port, source_path
FROM @ledger@.pull WHERE pull_id = $1::bigint)sql";

// @list@: the pull's list of them.
inline constexpr std::string_view kLoadColumns = R"sql(
SELECT c.name
FROM @ledger@.pull AS p
CROSS JOIN pg_catalog.unnest(p.@list@) WITH ORDINALITY AS c(name, number)
WHERE p.pull_id = $1::bigint
ORDER BY c.number)sql";

inline constexpr std::string_view kLoadPull = R"sql(
SELECT p.run_id, p.owner::pg_catalog.oid, p."table"::pg_catalog.oid, p.source, p.key,
  p.range_start, p.range_end, p.filter, p.format, p.workers, p.chunk_bytes, p.timezone,
  p.date_order, p.kind, p.state, p.max_rate, p.source_system, p.source_timeline,
  p.source_database, p.source_lsn, p.snapshot_xmin, p.snapshot_xmax,
  EXISTS (SELECT FROM @ledger@.pull AS o WHERE o.run_id = p.run_id AND o.pull_id <> p.pull_id
          AND o.snapshot_lock IS NOT DISTINCT FROM p.snapshot_lock),
  p.source_relations, p.search_path, p.replication_role
FROM @ledger@.pull AS p WHERE p.pull_id = $1::bigint)sql";

// A pull resumed under another snapshot has rows of both, so its bounds become the outer ones;
// those that were given up stay so.
inline constexpr std::string_view kResumePull = R"sql(
WITH freed AS (
  UPDATE @ledger@.chunk SET state = 'planned', coordinator = $1::bigint
  WHERE pull_id = $1::bigint
    AND (state = 'failed' OR state = 'planned' AND coordinator IS DISTINCT FROM $1::bigint))
UPDATE @ledger@.pull
SET segment = $2::bigint, coordinator = $1::bigint, snapshot = $3::pg_catalog.text,
  snapshot_xmin = CASE WHEN snapshot_xmin IS NOT NULL THEN least(snapshot_xmin, $4::bigint) END,
  snapshot_xmax = CASE WHEN snapshot_xmin IS NOT NULL
    THEN greatest(snapshot_xmax, $5::bigint) END,
  source_lsn = coalesce($6::pg_catalog.pg_lsn, source_lsn),
  source_timeline = coalesce($7::pg_catalog.text, source_timeline),
  source_version = $8::integer, snapshot_lock = $9::bigint,
  snapshot_state = $10::pg_catalog.text, source_host = $11::pg_catalog.text,
  source_hostaddr = $12::pg_catalog.text, source_port = $13::pg_catalog.text, sqlstate = NULL,
  error = NULL, error_detail = NULL, error_hint = NULL, finished = NULL, hold_ended = NULL,
  source_flushed = NULL
WHERE pull_id = $1::bigint AND state <> 'done')sql";

// Bounds of which nobody knows whether the source has flushed what they stand for are given up.
inline constexpr std::string_view kReopenPull = R"sql(
UPDATE @ledger@.pull
SET segment = $2::bigint, coordinator = $1::bigint, sqlstate = NULL, error = NULL,
  error_detail = NULL, error_hint = NULL, finished = NULL, hold_ended = NULL,
  source_flushed = coalesce(source_flushed, source_relations IS NULL OR range_start IS NOT NULL
    OR range_end IS NOT NULL),
  snapshot_xmin = CASE WHEN source_flushed THEN snapshot_xmin END,
  snapshot_xmax = CASE WHEN source_flushed THEN snapshot_xmax END
WHERE pull_id = $1::bigint)sql";

inline constexpr std::string_view kNoteFlushed = R"sql(
UPDATE @ledger@.pull SET source_flushed = snapshot_xmin IS NOT NULL WHERE pull_id = $1::bigint)sql";

inline constexpr std::string_view kForgetBounds = R"sql(
UPDATE @ledger@.pull SET snapshot_xmin = NULL, snapshot_xmax = NULL, source_flushed = false
WHERE pull_id = $1::bigint)sql";

inline constexpr std::string_view kNoteHoldEnded = R"sql(
UPDATE @ledger@.pull SET hold_ended = $2::pg_catalog.text
WHERE pull_id = $1::bigint AND state IN ('failed', 'cancelled'))sql";

inline constexpr std::string_view kHasLostBounds = R"sql(
SELECT kind = 'pull' AND range_start IS NULL AND range_end IS NULL
  AND source_relations IS NOT NULL AND NOT source_flushed
FROM @ledger@.pull WHERE pull_id = $1::bigint)sql";

// Compare and set: a change that finds the pull in another state than it expects is an error.
inline constexpr std::string_view kSetState = R"sql(
UPDATE @ledger@.pull SET state = $2::pg_catalog.text
WHERE pull_id = $1::bigint AND state = ANY ($3::pg_catalog.text[]))sql";

inline constexpr std::string_view kReadState = R"sql(
SELECT state FROM @ledger@.pull WHERE pull_id = $1::bigint)sql";

inline constexpr std::string_view kSetLimits = R"sql(
UPDATE @ledger@.pull
SET workers = coalesce($2::integer, workers),
  max_rate = CASE WHEN $3::integer IS NULL THEN max_rate ELSE nullif($3::integer, 0) END
WHERE pull_id = $1::bigint)sql";

// An open chunk beside one of NULLs, as version 0.1 planned them, leaves those to it.  One of the
// conditions below follows.
inline constexpr std::string_view kClaim = R"sql(
SELECT c.chunk, c.range_start, c.range_end, c.nulls, c.relation, c.estimated_bytes, c.relation_oid,
  c.range_start IS NULL AND c.range_end IS NULL AND NOT c.nulls AND EXISTS (
    SELECT FROM @ledger@.chunk AS n
    WHERE n.pull_id = c.pull_id AND n.nulls AND n.relation IS NOT DISTINCT FROM c.relation),
  c.pull_id
FROM @ledger@.chunk AS c
WHERE )sql";

inline constexpr std::string_view kOfPull = R"sql(c.pull_id = $1::bigint
  AND c.state <> 'done' AND c.state <> 'failed'
ORDER BY c.chunk LIMIT 1 FOR UPDATE SKIP LOCKED)sql";

inline constexpr std::string_view kOfPullInRun = R"sql(c.pull_id = $1::bigint
  AND c.coordinator = $2::bigint AND c.state <> 'done' AND c.state <> 'failed'
ORDER BY c.chunk LIMIT 1 FOR UPDATE SKIP LOCKED)sql";

// In the order of the index.
inline constexpr std::string_view kOfRun = R"sql(c.coordinator = $1::bigint
  AND c.state = 'planned'
ORDER BY c.priority DESC, c.pull_id, c.chunk LIMIT 1 FOR UPDATE SKIP LOCKED)sql";

inline constexpr std::string_view kCompleteChunk = R"sql(
UPDATE @ledger@.chunk
SET state = 'done', rows = $3::bigint, bytes = $4::bigint, route = $5::pg_catalog.text,
  route_reason = $6::pg_catalog.text, local_relations = $7::pg_catalog.text,
  attempts = attempts + 1, sqlstate = NULL, error = NULL, finished = pg_catalog.clock_timestamp(),
  started = pg_catalog.to_timestamp($8::double precision), copied_by = $9::integer
WHERE pull_id = $1::bigint AND chunk = $2::integer AND state <> 'done')sql";

// What a crash empties together with the rows.
inline constexpr std::string_view kNoteUnlogged = R"sql(
INSERT INTO @ledger@.unlogged_chunk (pull_id, chunk) VALUES ($1::bigint, $2::integer)
ON CONFLICT DO NOTHING)sql";

// The chunk may be done by now, by whoever took it next.
inline constexpr std::string_view kNoteAttempt = R"sql(
UPDATE @ledger@.chunk AS c
SET attempts = c.attempts + 1,
  state = CASE WHEN f.is_open AND $5::boolean THEN 'failed' ELSE c.state END,
  sqlstate = CASE WHEN f.is_open THEN $3::pg_catalog.text END,
  error = CASE WHEN f.is_open THEN $4::pg_catalog.text END,
  finished = CASE WHEN f.is_open AND $5::boolean THEN pg_catalog.clock_timestamp()
             ELSE c.finished END
FROM (SELECT o.pull_id, o.chunk, o.state <> 'done' AS is_open FROM @ledger@.chunk AS o
      WHERE o.pull_id = $1::bigint AND o.chunk = $2::integer FOR UPDATE SKIP LOCKED) AS f
WHERE c.pull_id = f.pull_id AND c.chunk = f.chunk)sql";

inline constexpr std::string_view kEndPull = R"sql(
UPDATE @ledger@.pull
SET sqlstate = $2::pg_catalog.text, error = $3::pg_catalog.text,
  error_detail = $4::pg_catalog.text, error_hint = $5::pg_catalog.text,
  finished = pg_catalog.clock_timestamp()
WHERE pull_id = $1::bigint)sql";

// The same of many, each with its id.
inline constexpr std::string_view kTotalsOfMany = R"sql(
SELECT coalesce(pg_catalog.sum(rows), 0)::bigint, coalesce(pg_catalog.sum(bytes), 0)::bigint,
  pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE state = 'done'),
  coalesce(pg_catalog.sum(CASE WHEN state = 'planned' THEN attempts
                          ELSE greatest(attempts - 1, 0) END), 0)::bigint,
  coalesce(pg_catalog.sum(greatest(estimated_bytes, 1)), 0)::bigint,
  coalesce(pg_catalog.sum(greatest(estimated_bytes, 1)) FILTER (WHERE state = 'done'), 0)::bigint,
  pull_id
FROM @ledger@.chunk WHERE pull_id = ANY ($1::bigint[]) GROUP BY pull_id)sql";

inline constexpr std::string_view kReadError = R"sql(
SELECT coalesce(sqlstate, 'XX000'), coalesce(error, 'the pull has ended'), error_detail, error_hint
FROM @ledger@.pull WHERE pull_id = $1::bigint)sql";

inline constexpr std::string_view kReadEnding = R"sql(
SELECT ((EXTRACT(epoch FROM finished) - EXTRACT(epoch FROM '2000-01-01Z'::timestamptz)) * 1000000)::bigint,
  sqlstate, error, error_detail, error_hint
FROM @ledger@.pull WHERE pull_id = $1::bigint)sql";

inline constexpr std::string_view kHasWithheld = R"sql(
SELECT EXISTS (SELECT FROM @ledger@.chunk
               WHERE pull_id = $1::bigint AND state <> 'done'
                 AND (coordinator IS NULL OR state = 'failed')))sql";

inline constexpr std::string_view kTotals = R"sql(
SELECT coalesce(pg_catalog.sum(rows), 0)::bigint, coalesce(pg_catalog.sum(bytes), 0)::bigint,
  pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE state = 'done'),
  coalesce(pg_catalog.sum(CASE WHEN state = 'planned' THEN attempts
                          ELSE greatest(attempts - 1, 0) END), 0)::bigint,
  coalesce(pg_catalog.sum(greatest(estimated_bytes, 1)), 0)::bigint,
  coalesce(pg_catalog.sum(greatest(estimated_bytes, 1)) FILTER (WHERE state = 'done'), 0)::bigint
FROM @ledger@.chunk WHERE pull_id = $1::bigint)sql";

} // namespace parallel_loader::ledger_statements
