// ledger: see ledger.hpp.
//
// The extension runs these statements as the ledger's owner inside the caller's session, so every
// name is qualified: no temporary object may stand in for one.
#include "core/ledger.hpp"

#include "core/error.hpp"
#include "core/local_relations.hpp"
#include "core/quote.hpp"

namespace parallel_loader {
namespace {

// Stands for the ledger's quoted schema in the statements below.
constexpr std::string_view kSchemaMark = "@ledger@";

constexpr std::string_view kCreatePull = R"sql(
INSERT INTO @ledger@.pull (pull_id, run_id, owner, "table", source, source_table, key,
  range_start, range_end, columns, filter, format, workers, chunk_bytes, timezone, date_order,
  segment, kind, table_name)
SELECT n.id, coalesce($1::bigint, n.id), $2::pg_catalog.oid::pg_catalog.regrole,
  $3::pg_catalog.oid::pg_catalog.regclass, $4::pg_catalog.text, $5::pg_catalog.text,
  $6::pg_catalog.text, $7::pg_catalog.text, $8::pg_catalog.text, $9::pg_catalog.text[],
  $10::pg_catalog.text, $11::pg_catalog.text, $12::integer, $13::bigint, $14::pg_catalog.text,
  $15::pg_catalog.text, $16::bigint, $17::pg_catalog.text,
  (SELECT pg_catalog.concat(pg_catalog.quote_ident(s.nspname), '.', pg_catalog.quote_ident(c.relname))
   FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
   WHERE c.oid = $3::pg_catalog.oid)
FROM (SELECT pg_catalog.nextval(pg_catalog.pg_get_serial_sequence('@ledger@.pull', 'pull_id')
        ::pg_catalog.regclass) AS id) AS n
RETURNING pull_id)sql";

constexpr std::string_view kRecordPlan = R"sql(
WITH planned AS (
  UPDATE @ledger@.pull AS p
  SET source_table = $2::pg_catalog.text, key = $3::pg_catalog.text,
    bound_type = $4::pg_catalog.text, format = $5::pg_catalog.text,
    columns = $6::pg_catalog.text[], snapshot = $7::pg_catalog.text,
    source_lsn = $8::pg_catalog.pg_lsn, source_system = $9::pg_catalog.text,
    source_timeline = $10::pg_catalog.text, source_database = $11::pg_catalog.text,
    source_version = $12::integer, snapshot_xmin = $19::bigint, snapshot_xmax = $20::bigint,
    source_relations = $21::pg_catalog.text, snapshot_lock = $22::bigint,
    snapshot_state = $23::pg_catalog.text, source_host = $24::pg_catalog.text,
    source_hostaddr = $25::pg_catalog.text, source_port = $26::pg_catalog.text,
    source_path = $28::pg_catalog.text[]
  WHERE p.pull_id = $1::bigint
  RETURNING p.pull_id)
INSERT INTO @ledger@.chunk (pull_id, chunk, range_start, range_end, nulls, relation,
  estimated_rows, estimated_bytes, relation_oid)
SELECT p.pull_id, c.number::integer, c.range_start, c.range_end, c.nulls,
  nullif(c.relation, ''), c.estimated_rows, c.estimated_bytes,
  nullif(c.relation_oid, 0::pg_catalog.oid)
FROM planned AS p
CROSS JOIN ROWS FROM (pg_catalog.unnest($13::pg_catalog.text[]),
                      pg_catalog.unnest($14::pg_catalog.text[]),
                      pg_catalog.unnest($15::boolean[]),
                      pg_catalog.unnest($16::pg_catalog.text[]),
                      pg_catalog.unnest($17::bigint[]),
                      pg_catalog.unnest($18::bigint[]),
                      pg_catalog.unnest($27::pg_catalog.oid[]))
  WITH ORDINALITY AS c(range_start, range_end, nulls, relation, estimated_rows, estimated_bytes,
                       relation_oid, number))sql";

constexpr std::string_view kAddChunks = R"sql(
INSERT INTO @ledger@.chunk (pull_id, chunk, range_start, range_end, nulls, relation,
  estimated_rows, estimated_bytes, relation_oid)
SELECT $1::bigint, m.last + c.number::integer, c.range_start, c.range_end, c.nulls,
  nullif(c.relation, ''), c.estimated_rows, c.estimated_bytes,
  nullif(c.relation_oid, 0::pg_catalog.oid)
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

constexpr std::string_view kDropChunks = R"sql(
DELETE FROM @ledger@.chunk WHERE pull_id = $1::bigint)sql";

constexpr std::string_view kRecordRelations = R"sql(
UPDATE @ledger@.pull SET source_relations = $2::pg_catalog.text WHERE pull_id = $1::bigint)sql";

constexpr std::string_view kRecordShapes = R"sql(
UPDATE @ledger@.pull
SET source_shape = $2::pg_catalog.text, local_shape = $3::pg_catalog.text,
  asked_key = $4::pg_catalog.text, asked_columns = $5::pg_catalog.text[],
  asked_format = $6::pg_catalog.text, asked_bound_type = $7::pg_catalog.text
WHERE pull_id = $1::bigint)sql";

constexpr std::string_view kLoadShapes = R"sql(
SELECT source_shape, local_shape, asked_key, asked_format, asked_bound_type, asked_columns IS NULL
FROM @ledger@.pull WHERE pull_id = $1::bigint)sql";

constexpr std::string_view kLoadAskedColumns = R"sql(
SELECT c.name
FROM @ledger@.pull AS p
CROSS JOIN pg_catalog.unnest(p.asked_columns) WITH ORDINALITY AS c(name, number)
WHERE p.pull_id = $1::bigint
ORDER BY c.number)sql";

constexpr std::string_view kLoadRelations = R"sql(
SELECT coalesce(relation, ''), relation_oid, pg_catalog.bool_and(state = 'done')
FROM @ledger@.chunk WHERE pull_id = $1::bigint
GROUP BY relation, relation_oid ORDER BY pg_catalog.min(chunk))sql";

constexpr std::string_view kNameRelations = R"sql(
UPDATE @ledger@.chunk AS c SET relation_oid = f.oid
FROM ROWS FROM (pg_catalog.unnest($2::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.oid[]))
  AS f(relation, oid)
WHERE c.pull_id = $1::bigint AND c.relation_oid IS NULL AND coalesce(c.relation, '') = f.relation)sql";

constexpr std::string_view kLoadPlan = R"sql(
SELECT source_table, key, bound_type, format, snapshot, source_version, snapshot_lock,
  snapshot_state, source_host, source_hostaddr, source_port, source_path
FROM @ledger@.pull WHERE pull_id = $1::bigint)sql";

constexpr std::string_view kLoadColumns = R"sql(
SELECT c.name
FROM @ledger@.pull AS p
CROSS JOIN pg_catalog.unnest(p.columns) WITH ORDINALITY AS c(name, number)
WHERE p.pull_id = $1::bigint
ORDER BY c.number)sql";

constexpr std::string_view kLoadPull = R"sql(
SELECT p.run_id, p.owner::pg_catalog.oid, p."table"::pg_catalog.oid, p.source, p.key,
  p.range_start, p.range_end, p.filter, p.format, p.workers, p.chunk_bytes, p.timezone,
  p.date_order, p.kind, p.state, p.max_rate, p.source_system, p.source_timeline,
  p.source_database, p.source_lsn, p.snapshot_xmin, p.snapshot_xmax,
  EXISTS (SELECT FROM @ledger@.pull AS o WHERE o.run_id = p.run_id AND o.pull_id <> p.pull_id),
  p.source_relations
FROM @ledger@.pull AS p WHERE p.pull_id = $1::bigint)sql";

// A pull resumed under another snapshot has rows of both, so its bounds become the outer ones;
// those that were given up stay so.
constexpr std::string_view kResumePull = R"sql(
WITH freed AS (
  UPDATE @ledger@.chunk SET state = 'planned'
  WHERE pull_id = $1::bigint AND state = 'failed')
UPDATE @ledger@.pull
SET segment = $2::bigint, snapshot = $3::pg_catalog.text,
  snapshot_xmin = CASE WHEN snapshot_xmin IS NOT NULL THEN least(snapshot_xmin, $4::bigint) END,
  snapshot_xmax = CASE WHEN snapshot_xmin IS NOT NULL
    THEN greatest(snapshot_xmax, $5::bigint) END,
  source_lsn = coalesce($6::pg_catalog.pg_lsn, source_lsn),
  source_timeline = coalesce($7::pg_catalog.text, source_timeline),
  source_version = $8::integer, snapshot_lock = $9::bigint,
  snapshot_state = $10::pg_catalog.text, source_host = $11::pg_catalog.text,
  source_hostaddr = $12::pg_catalog.text, source_port = $13::pg_catalog.text, sqlstate = NULL,
  error = NULL, finished = NULL, hold_ended = NULL, source_flushed = NULL
WHERE pull_id = $1::bigint AND state <> 'done')sql";

// Bounds of which nobody knows whether the source has flushed what they stand for are given up.
constexpr std::string_view kReopenPull = R"sql(
UPDATE @ledger@.pull
SET segment = $2::bigint, sqlstate = NULL, error = NULL, finished = NULL, hold_ended = NULL,
  source_flushed = coalesce(source_flushed, source_relations IS NULL OR range_start IS NOT NULL
    OR range_end IS NOT NULL),
  snapshot_xmin = CASE WHEN source_flushed THEN snapshot_xmin END,
  snapshot_xmax = CASE WHEN source_flushed THEN snapshot_xmax END
WHERE pull_id = $1::bigint)sql";

constexpr std::string_view kNoteFlushed = R"sql(
UPDATE @ledger@.pull SET source_flushed = snapshot_xmin IS NOT NULL WHERE pull_id = $1::bigint)sql";

constexpr std::string_view kForgetBounds = R"sql(
UPDATE @ledger@.pull SET snapshot_xmin = NULL, snapshot_xmax = NULL, source_flushed = false
WHERE pull_id = $1::bigint)sql";

constexpr std::string_view kNoteHoldEnded = R"sql(
UPDATE @ledger@.pull SET hold_ended = $2::pg_catalog.text
WHERE pull_id = $1::bigint AND state IN ('failed', 'cancelled'))sql";

constexpr std::string_view kHasLostBounds = R"sql(
SELECT kind = 'pull' AND range_start IS NULL AND range_end IS NULL
  AND source_relations IS NOT NULL AND NOT source_flushed
FROM @ledger@.pull WHERE pull_id = $1::bigint)sql";

// Compare and set: whoever finds the pull in another state than he took it to be in is told.
constexpr std::string_view kSetState = R"sql(
UPDATE @ledger@.pull SET state = $2::pg_catalog.text
WHERE pull_id = $1::bigint AND state = ANY ($3::pg_catalog.text[]))sql";

constexpr std::string_view kReadState = R"sql(
SELECT state FROM @ledger@.pull WHERE pull_id = $1::bigint)sql";

constexpr std::string_view kSetLimits = R"sql(
UPDATE @ledger@.pull
SET workers = coalesce($2::integer, workers),
  max_rate = CASE WHEN $3::integer IS NULL THEN max_rate ELSE nullif($3::integer, 0) END
WHERE pull_id = $1::bigint)sql";

// An open chunk beside one of NULLs, as version 0.1 planned them, leaves those to it.
constexpr std::string_view kClaimChunk = R"sql(
SELECT c.chunk, c.range_start, c.range_end, c.nulls, c.relation, c.attempts, c.estimated_bytes,
  c.relation_oid, c.range_start IS NULL AND c.range_end IS NULL AND NOT c.nulls AND EXISTS (
    SELECT FROM @ledger@.chunk AS n
    WHERE n.pull_id = c.pull_id AND n.nulls AND n.relation IS NOT DISTINCT FROM c.relation)
FROM @ledger@.chunk AS c
WHERE c.pull_id = $1::bigint AND c.state <> 'done' AND c.state <> 'failed'
ORDER BY c.chunk LIMIT 1 FOR UPDATE SKIP LOCKED)sql";

constexpr std::string_view kCompleteChunk = R"sql(
UPDATE @ledger@.chunk
SET state = 'done', rows = $3::bigint, bytes = $4::bigint, route = $5::pg_catalog.text,
  route_reason = $6::pg_catalog.text, local_relations = $7::pg_catalog.text,
  attempts = attempts + 1, sqlstate = NULL, error = NULL, finished = pg_catalog.clock_timestamp()
WHERE pull_id = $1::bigint AND chunk = $2::integer AND state <> 'done')sql";

// What a crash empties together with the rows.
constexpr std::string_view kNoteUnlogged = R"sql(
INSERT INTO @ledger@.unlogged_chunk (pull_id, chunk) VALUES ($1::bigint, $2::integer)
ON CONFLICT DO NOTHING)sql";

// The chunk may be done by now, by whoever took it next.
constexpr std::string_view kNoteAttempt = R"sql(
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

constexpr std::string_view kEndPull = R"sql(
UPDATE @ledger@.pull
SET sqlstate = $2::pg_catalog.text, error = $3::pg_catalog.text,
  finished = pg_catalog.clock_timestamp()
WHERE pull_id = $1::bigint)sql";

constexpr std::string_view kTotals = R"sql(
SELECT coalesce(pg_catalog.sum(rows), 0)::bigint, coalesce(pg_catalog.sum(bytes), 0)::bigint,
  pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE state = 'done'),
  coalesce(pg_catalog.sum(CASE WHEN state = 'planned' THEN attempts
                          ELSE greatest(attempts - 1, 0) END), 0)::bigint,
  coalesce(pg_catalog.sum(greatest(estimated_bytes, 1)), 0)::bigint,
  coalesce(pg_catalog.sum(greatest(estimated_bytes, 1)) FILTER (WHERE state = 'done'), 0)::bigint
FROM @ledger@.chunk WHERE pull_id = $1::bigint)sql";

Param null_if_empty(std::string_view text) {
  return text.empty() ? Param() : Param(std::string(text));
}

Param number(int64_t value) {
  return std::to_string(value);
}

std::string_view kind_name(PullKind kind) {
  return kind == PullKind::kAppend ? "append" : "pull";
}

/// The chunks of a plan as array literals, one a column.
struct ChunkArrays {
  explicit ChunkArrays(const std::vector<PlannedChunk> &chunks) {
    std::vector<Param> start_values, end_values;
    std::vector<std::string> nulls_values, relation_values, row_values, byte_values, oid_values;
    for (const PlannedChunk &chunk : chunks) {
      start_values.push_back(chunk.range.start);
      end_values.push_back(chunk.range.end);
      nulls_values.push_back(chunk.range.nulls ? "t" : "f");
      relation_values.push_back(chunk.relation);
      row_values.push_back(std::to_string(chunk.row_estimate));
      byte_values.push_back(std::to_string(chunk.byte_estimate));
      oid_values.push_back(std::to_string(chunk.relation_oid));
    }
    starts = array_literal(start_values);
    ends = array_literal(end_values);
    nulls = array_literal(nulls_values);
    relations = array_literal(relation_values);
    rows = array_literal(row_values);
    bytes = array_literal(byte_values);
    oids = array_literal(oid_values);
  }

  std::string starts;
  std::string ends;
  std::string nulls;
  std::string relations;
  std::string rows;
  std::string bytes;
  std::string oids;
};

} // namespace

Ledger::Ledger(Executor &executor, std::string_view schema)
    : executor_(executor), schema_(quote_identifier(schema)) {}

Rows Ledger::exec(std::string_view statement, std::initializer_list<Param> params) {
  std::string sql(statement);
  for (size_t at = 0; (at = sql.find(kSchemaMark, at)) != std::string::npos; at += schema_.size())
    sql.replace(at, kSchemaMark.size(), schema_);
  return executor_.exec(sql, params);
}

int64_t Ledger::create_pull(const PullRequest &request) {
  return exec(kCreatePull,
              {request.run_id == 0 ? Param() : number(request.run_id), number(request.owner),
               number(request.table), request.source, request.source_table,
               null_if_empty(request.key), request.start, request.end,
               request.columns ? Param(array_literal(*request.columns)) : Param(),
               null_if_empty(request.filter), request.format, number(request.workers),
               number(request.chunk_bytes), request.timezone, request.date_order,
               number(request.segment), std::string(kind_name(request.kind))})
      .integer(0, 0);
}

void Ledger::record_plan(int64_t pull_id, const PullPlan &plan) {
  const ChunkArrays chunks(plan.chunks);
  const SourceIdentity &identity = plan.identity;
  const Rows inserted = exec(kRecordPlan, {number(pull_id),
                                           plan.source_table.display(),
                                           null_if_empty(plan.key),
                                           null_if_empty(plan.bound_type),
                                           std::string(format_name(plan.format)),
                                           array_literal(plan.columns),
                                           null_if_empty(plan.snapshot.name),
                                           null_if_empty(identity.lsn),
                                           null_if_empty(identity.system_identifier),
                                           null_if_empty(identity.timeline),
                                           null_if_empty(identity.database),
                                           number(plan.source_version),
                                           chunks.starts,
                                           chunks.ends,
                                           chunks.nulls,
                                           chunks.relations,
                                           chunks.rows,
                                           chunks.bytes,
                                           number(plan.bounds.xmin),
                                           number(plan.bounds.xmax),
                                           null_if_empty(plan.relations),
                                           number(plan.snapshot.lock),
                                           null_if_empty(plan.snapshot.state),
                                           null_if_empty(plan.snapshot.place.host),
                                           null_if_empty(plan.snapshot.place.hostaddr),
                                           null_if_empty(plan.snapshot.place.port),
                                           chunks.oids,

                                           plan.source_path});
  if (inserted.affected() != plan.chunks.size())
    throw Error(sqlstate::kInternalError,
                "pull " + std::to_string(pull_id) + " is not in the ledger");
  record_shapes(pull_id, plan);
}

void Ledger::record_shapes(int64_t pull_id, const PullPlan &plan) {
  const PullWish &wish = plan.wish;
  exec(kRecordShapes,
       {number(pull_id), null_if_empty(plan.source_shape), null_if_empty(plan.local_shape),
        null_if_empty(wish.key), wish.columns ? Param(array_literal(*wish.columns)) : Param(),
        null_if_empty(wish.format), null_if_empty(wish.bound_type)});
}

void Ledger::load_shapes(int64_t pull_id, PullPlan &plan) {
  const Rows row = exec(kLoadShapes, {number(pull_id)});
  if (row.empty())
    return;
  plan.source_shape = row.text(0, 0);
  plan.local_shape = row.text(0, 1);
  plan.wish = {
      .key = row.text(0, 2), .columns = {}, .format = row.text(0, 3), .bound_type = row.text(0, 4)};
  if (row.boolean(0, 5))
    return;
  plan.wish.columns.emplace();
  const Rows columns = exec(kLoadAskedColumns, {number(pull_id)});
  for (size_t column = 0; column < columns.size(); column++)
    plan.wish.columns->push_back(columns.text(column, 0));
}

std::vector<ChunkRelation> Ledger::relations(int64_t pull_id) {
  const Rows rows = exec(kLoadRelations, {number(pull_id)});
  std::vector<ChunkRelation> relations;
  for (size_t row = 0; row < rows.size(); row++)
    relations.push_back({.relation = rows.text(row, 0),
                         .oid = static_cast<uint32_t>(rows.integer(row, 1)),
                         .is_done = rows.boolean(row, 2)});
  return relations;
}

void Ledger::change_chunks(int64_t pull_id, const PullPlan &plan) {
  switch (plan.chunk_change) {
  case ChunkChange::kNone:
    return;
  case ChunkChange::kReplaced:
    exec(kDropChunks, {number(pull_id)});
    return record_plan(pull_id, plan);
  case ChunkChange::kAdded:
    break;
  }
  const ChunkArrays chunks(plan.chunks);
  exec(kAddChunks, {number(pull_id), chunks.starts, chunks.ends, chunks.nulls, chunks.relations,
                    chunks.rows, chunks.bytes, chunks.oids});
  exec(kRecordRelations, {number(pull_id), null_if_empty(plan.relations)});
}

PullPlan Ledger::load_plan(int64_t pull_id) {
  const Rows pull = exec(kLoadPlan, {number(pull_id)});
  if (pull.empty()) {
    throw Error(sqlstate::kUndefinedObject,
                "pull " + std::to_string(pull_id) + " is not in the ledger");
  }
  PullPlan plan;
  plan.source_table = parse_qualified_name(pull.text(0, 0));
  plan.key = pull.text(0, 1);
  plan.bound_type = pull.text(0, 2);
  plan.format = pull.text(0, 3) == format_name(Format::kBinary) ? Format::kBinary : Format::kText;
  plan.snapshot = {.name = pull.text(0, 4),
                   .lock = pull.integer(0, 6),
                   .state = pull.text(0, 7),
                   .place = {pull.text(0, 8), pull.text(0, 9), pull.text(0, 10)}};
  plan.source_path = pull.at(0, 11);
  plan.source_version = static_cast<int>(pull.integer(0, 5));
  const Rows columns = exec(kLoadColumns, {number(pull_id)});
  for (size_t row = 0; row < columns.size(); row++)
    plan.columns.push_back(columns.text(row, 0));
  load_shapes(pull_id, plan);
  return plan;
}

RecordedPull Ledger::load_pull(int64_t pull_id) {
  RecordedPull recorded;
  recorded.plan = load_plan(pull_id);
  const Rows row = exec(kLoadPull, {number(pull_id)});
  PullRequest &request = recorded.request;
  request.run_id = row.integer(0, 0);
  request.owner = static_cast<uint32_t>(row.integer(0, 1));
  request.table = static_cast<uint32_t>(row.integer(0, 2));
  request.source = row.text(0, 3);
  request.source_table = recorded.plan.source_table.quoted();
  request.key = row.text(0, 4);
  request.start = row.at(0, 5);
  request.end = row.at(0, 6);
  request.columns = recorded.plan.columns;
  request.filter = row.text(0, 7);
  request.format = row.text(0, 8);
  request.workers = static_cast<int>(row.integer(0, 9));
  request.chunk_bytes = row.integer(0, 10);
  request.timezone = row.text(0, 11);
  request.date_order = row.text(0, 12);
  request.kind =
      row.text(0, 13) == kind_name(PullKind::kAppend) ? PullKind::kAppend : PullKind::kPull;
  recorded.state = parse_pull_state(row.text(0, 14));
  recorded.max_rate_kb = row.integer(0, 15);
  recorded.plan.identity = {.system_identifier = row.text(0, 16),
                            .timeline = row.text(0, 17),
                            .database = row.text(0, 18),
                            .lsn = row.text(0, 19)};
  recorded.plan.bounds = {.xmin = row.integer(0, 20), .xmax = row.integer(0, 21)};
  recorded.shares_snapshot = row.boolean(0, 22);
  recorded.plan.relations = row.text(0, 23);
  return recorded;
}

void Ledger::resume_pull(int64_t pull_id, int64_t segment, const PullPlan &plan) {
  change_state(pull_id, PullEvent::kResume, PullActor::kResume);
  change_chunks(pull_id, plan);
  if (!plan.found_relations.empty()) {
    name_relations(pull_id, plan.found_relations);
    record_shapes(pull_id, plan);
  }
  exec(kResumePull,
       {number(pull_id), number(segment), null_if_empty(plan.snapshot.name),
        number(plan.bounds.xmin), number(plan.bounds.xmax), null_if_empty(plan.identity.lsn),
        null_if_empty(plan.identity.timeline), number(plan.source_version),
        number(plan.snapshot.lock), null_if_empty(plan.snapshot.state),
        null_if_empty(plan.snapshot.place.host), null_if_empty(plan.snapshot.place.hostaddr),
        null_if_empty(plan.snapshot.place.port)});
}

void Ledger::name_relations(int64_t pull_id, const std::vector<ChunkRelation> &relations) {
  std::vector<std::string> names, oids;
  for (const ChunkRelation &relation : relations) {
    names.push_back(relation.relation);
    oids.push_back(std::to_string(relation.oid));
  }
  exec(kNameRelations, {number(pull_id), array_literal(names), array_literal(oids)});
}

void Ledger::reopen_pull(int64_t pull_id, int64_t segment) {
  change_state(pull_id, PullEvent::kResume, PullActor::kResume);
  exec(kReopenPull, {number(pull_id), number(segment)});
}

void Ledger::note_flushed(int64_t pull_id) {
  exec(kNoteFlushed, {number(pull_id)});
}

void Ledger::forget_bounds(int64_t pull_id) {
  exec(kForgetBounds, {number(pull_id)});
}

void Ledger::note_hold_ended(int64_t pull_id, std::string_view reason) {
  exec(kNoteHoldEnded, {number(pull_id), std::string(reason)});
}

bool Ledger::has_lost_bounds(int64_t pull_id) {
  const Rows row = exec(kHasLostBounds, {number(pull_id)});
  return !row.empty() && row.boolean(0, 0);
}

void Ledger::change_state(int64_t pull_id, PullEvent event, PullActor actor) {
  const std::string_view target = state_name(target_state(event, actor));
  const std::vector<std::string> sources = source_states(event, actor);
  const Rows changed =
      exec(kSetState, {number(pull_id), std::string(target), array_literal(sources)});
  if (changed.affected() == 1)
    return;
  const Rows found = exec(kReadState, {number(pull_id)});
  throw Error("55000", "pull " + std::to_string(pull_id) + " cannot become " + std::string(target) +
                           ": it is " + (found.empty() ? "not in the ledger" : found.text(0, 0)));
}

void Ledger::set_limits(int64_t pull_id, std::optional<int> workers,
                        std::optional<int> max_rate_kb) {
  exec(kSetLimits, {number(pull_id), workers ? number(*workers) : Param(),
                    max_rate_kb ? number(*max_rate_kb) : Param()});
}

std::optional<ClaimedChunk> Ledger::claim_chunk(int64_t pull_id) {
  const Rows rows = exec(kClaimChunk, {number(pull_id)});
  if (rows.empty())
    return std::nullopt;
  return ClaimedChunk{.number = static_cast<int>(rows.integer(0, 0)),
                      .attempts = static_cast<int>(rows.integer(0, 5)),
                      .byte_estimate = rows.integer(0, 6),
                      .range = {.start = rows.at(0, 1),
                                .end = rows.at(0, 2),
                                .nulls = rows.boolean(0, 3),
                                .not_null = rows.boolean(0, 8)},
                      .relation = rows.text(0, 4),
                      .relation_oid = static_cast<uint32_t>(rows.integer(0, 7))};
}

void Ledger::complete_chunk(int64_t pull_id, int chunk, const ChunkResult &result) {
  const Rows updated =
      exec(kCompleteChunk,
           {number(pull_id), number(chunk), number(result.row_count), number(result.byte_count),
            std::string(result.route), null_if_empty(result.route_reason), result.local_relations});
  if (updated.affected() != 1)
    throw Error(sqlstate::kInternalError, "chunk " + std::to_string(chunk) + " of pull " +
                                              std::to_string(pull_id) +
                                              " is not in the ledger, or is done already");
  if (has_unlogged(result.local_relations))
    exec(kNoteUnlogged, {number(pull_id), number(chunk)});
}

bool Ledger::note_attempt(int64_t pull_id, int chunk, const FailedAttempt &attempt) {
  return exec(kNoteAttempt, {number(pull_id), number(chunk), null_if_empty(attempt.sqlstate),
                             null_if_empty(attempt.message), attempt.is_final ? "t" : "f"})
             .affected() == 1;
}

void Ledger::end_pull(int64_t pull_id, PullEvent event, PullActor actor, std::string_view sqlstate,
                      std::string_view message) {
  change_state(pull_id, event, actor);
  exec(kEndPull, {number(pull_id), null_if_empty(sqlstate), null_if_empty(message)});
}

Ledger::Totals Ledger::totals(int64_t pull_id) {
  const Rows row = exec(kTotals, {number(pull_id)});
  return {.row_count = row.integer(0, 0),
          .byte_count = row.integer(0, 1),
          .chunk_count = static_cast<int>(row.integer(0, 2)),
          .done_count = static_cast<int>(row.integer(0, 3)),
          .retry_count = static_cast<int>(row.integer(0, 4)),
          .estimate_all = row.integer(0, 5),
          .estimate_done = row.integer(0, 6)};
}

} // namespace parallel_loader
