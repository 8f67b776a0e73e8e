#include "core/ledger/append_ledger.hpp"

namespace parallel_loader {
namespace {

// The oldest first, by id: clocks go back at times.
constexpr std::string_view kFindCandidates = R"sql(
SELECT m.pull_id, m.owner::pg_catalog.oid
FROM (
  SELECT pull_id, owner
  FROM @ledger@.mark
  WHERE "table" = $1::pg_catalog.oid AND source_database = $2::pg_catalog.text
    AND source_table = $3::pg_catalog.text AND filter = $4::pg_catalog.text
  UNION ALL
  SELECT pull_id, owner
  FROM @ledger@.pull
  WHERE kind = 'pull' AND state = 'done' AND "table" = $1::pg_catalog.oid
    AND source_database = $2::pg_catalog.text AND source_table = $3::pg_catalog.text
    AND coalesce(filter, '') = $4::pg_catalog.text AND range_start IS NULL AND range_end IS NULL
    AND snapshot_xmin IS NOT NULL AND (source_flushed OR coordinator IS NULL OR coordinator >= 0)) AS m
ORDER BY m.pull_id)sql";

constexpr std::string_view kFindMark = R"sql(
SELECT m.horizon, m.compare_to, m.source_relations, m.source_system, m.source_timeline,
  m.key, m.highest_key, m.pull_id, m.source_lsn, m.local_relations, m.is_emptied, m.is_recorded,
  m.source_path
FROM (
  SELECT horizon, compare_to, source_relations, source_system, source_timeline, key, highest_key,
    pull_id, source_lsn, local_relations,
    local_relations LIKE '%:u%' AND NOT EXISTS (
      SELECT FROM @ledger@.unlogged_chunk AS u WHERE u.pull_id = mark.pull_id) AS is_emptied,
    local_relations IS NOT NULL AS is_recorded, source_path
  FROM @ledger@.mark
  WHERE pull_id = $5::bigint AND "table" = $1::pg_catalog.oid
    AND source_database = $2::pg_catalog.text AND source_table = $3::pg_catalog.text
    AND filter = $4::pg_catalog.text
  UNION ALL
  SELECT snapshot_xmin, snapshot_xmax, source_relations, source_system, source_timeline, NULL,
    NULL, pull_id, source_lsn, l.local_relations, l.is_emptied, l.is_recorded, source_path
  FROM @ledger@.pull
  CROSS JOIN LATERAL (
    SELECT (SELECT pg_catalog.string_agg(DISTINCT w.word, ' ')
            FROM @ledger@.chunk AS c
            CROSS JOIN pg_catalog.unnest(pg_catalog.string_to_array(c.local_relations, ' '))
              AS w(word)
            WHERE c.pull_id = pull.pull_id AND w.word <> '') AS local_relations,
      EXISTS (SELECT FROM @ledger@.chunk AS c
              WHERE c.pull_id = pull.pull_id AND c.local_relations LIKE '%:u%'
                AND NOT EXISTS (SELECT FROM @ledger@.unlogged_chunk AS u
                                WHERE u.pull_id = c.pull_id AND u.chunk = c.chunk)) AS is_emptied,
      NOT EXISTS (SELECT FROM @ledger@.chunk AS c
                  WHERE c.pull_id = pull.pull_id AND c.local_relations IS NULL) AS is_recorded) AS l
  WHERE pull_id = $5::bigint AND kind = 'pull' AND state = 'done' AND "table" = $1::pg_catalog.oid
    AND source_database = $2::pg_catalog.text AND source_table = $3::pg_catalog.text
    AND coalesce(filter, '') = $4::pg_catalog.text AND range_start IS NULL AND range_end IS NULL
    AND snapshot_xmin IS NOT NULL AND (source_flushed OR coordinator IS NULL OR coordinator >= 0)) AS m)sql";

// A whole pull of the table that has brought some of its rows, but not all.
constexpr std::string_view kFindUnfinished = R"sql(
SELECT p.pull_id, p.owner::pg_catalog.oid
FROM @ledger@.pull AS p
WHERE p.kind = 'pull' AND p.state <> 'done' AND p."table" = $1::pg_catalog.oid
  AND p.source_database = $2::pg_catalog.text AND p.source_table = $3::pg_catalog.text
  AND coalesce(p.filter, '') = $4::pg_catalog.text
  AND p.range_start IS NULL AND p.range_end IS NULL AND p.pull_id > $5::bigint
  AND EXISTS (SELECT FROM @ledger@.chunk AS c
              WHERE c.pull_id = p.pull_id AND c.state = 'done' AND c.rows > 0)
ORDER BY p.pull_id DESC)sql";

// A run confirms its pulls' marks at its end; those of a pull by itself are confirmed before it is
// done.
constexpr std::string_view kFindUnmarked = R"sql(
SELECT pull_id, source_flushed IS NULL, owner::pg_catalog.oid
FROM @ledger@.pull
WHERE kind = 'pull' AND state = 'done' AND "table" = $1::pg_catalog.oid
  AND (NOT source_flushed OR (source_flushed IS NULL AND coordinator < 0))
  AND source_database = $2::pg_catalog.text AND source_table = $3::pg_catalog.text
  AND coalesce(filter, '') = $4::pg_catalog.text AND range_start IS NULL AND range_end IS NULL
  AND pull_id > $5::bigint
ORDER BY pull_id DESC)sql";

// Later marks and whole pulls of the same table, which have brought the rows of this pull, too.
constexpr std::string_view kFindSuccessors = R"sql(
SELECT m.pull_id, p."table"::pg_catalog.oid, m.local_relations
FROM @ledger@.pull AS p
JOIN (
  SELECT pull_id, "table", source_database, source_table, filter, local_relations
  FROM @ledger@.mark
  UNION ALL
  SELECT q.pull_id, q."table", q.source_database, q.source_table, coalesce(q.filter, ''),
    (SELECT pg_catalog.string_agg(DISTINCT w.word, ' ')
     FROM @ledger@.chunk AS c
     CROSS JOIN pg_catalog.unnest(pg_catalog.string_to_array(c.local_relations, ' ')) AS w(word)
     WHERE c.pull_id = q.pull_id AND w.word <> '')
  FROM @ledger@.pull AS q
  WHERE q.kind = 'pull' AND q.state = 'done' AND q.range_start IS NULL AND q.range_end IS NULL
    AND q.snapshot_xmin IS NOT NULL) AS m
  ON m."table"::pg_catalog.oid = p."table"::pg_catalog.oid
    AND m.source_database = p.source_database AND m.source_table = p.source_table
    AND m.filter = coalesce(p.filter, '') AND m.pull_id > p.pull_id
WHERE p.pull_id = $1::bigint AND p.range_start IS NULL AND p.range_end IS NULL
ORDER BY m.pull_id DESC)sql";

// An append goes on from the newest of a source's marks, one that a pull has left among them.
constexpr std::string_view kHasOldFilter = R"sql(
SELECT coalesce(pg_catalog.bool_or(l.is_old), false)
FROM (SELECT DISTINCT ON (m.source_database, m.source_table) m.source_path IS NULL AS is_old
      FROM (SELECT source_database, source_table, pull_id, source_path
            FROM @ledger@.mark
            WHERE "table" = $1::pg_catalog.oid AND filter = $2::pg_catalog.text
            UNION ALL
            SELECT source_database, source_table, pull_id, source_path
            FROM @ledger@.pull
            WHERE kind = 'pull' AND state = 'done' AND "table" = $1::pg_catalog.oid
              AND filter = $2::pg_catalog.text AND range_start IS NULL AND range_end IS NULL
              AND snapshot_xmin IS NOT NULL) AS m
      ORDER BY m.source_database, m.source_table, m.pull_id DESC) AS l)sql";

constexpr std::string_view kDropMark = R"sql(
DELETE FROM @ledger@.mark
WHERE "table" = $1::pg_catalog.oid AND source_database = $2::pg_catalog.text
  AND source_table = $3::pg_catalog.text AND filter = $4::pg_catalog.text)sql";

constexpr std::string_view kSaveMark = R"sql(
INSERT INTO @ledger@.mark ("table", source_database, source_table, filter, horizon,
  compare_to, source_relations, source_system, source_timeline, key, highest_key, pull_id,
  source_lsn, local_relations, source_path, owner)
VALUES ($1::pg_catalog.oid::pg_catalog.regclass, $2::pg_catalog.text, $3::pg_catalog.text,
  $4::pg_catalog.text, $5::bigint, $6::bigint, $7::pg_catalog.text, $8::pg_catalog.text,
  $9::pg_catalog.text, $10::pg_catalog.text, $11::pg_catalog.text, $12::bigint,
  $13::pg_catalog.pg_lsn, $14::pg_catalog.text, $15::pg_catalog.text[],
  nullif($16::pg_catalog.oid, 0::pg_catalog.oid)::pg_catalog.regrole))sql";

// What a crash empties together with the rows.
constexpr std::string_view kNotePullUnlogged = R"sql(
INSERT INTO @ledger@.unlogged_chunk (pull_id, chunk) VALUES ($1::bigint, 1)
ON CONFLICT DO NOTHING)sql";

constexpr std::string_view kPruneUnlogged = R"sql(
DELETE FROM @ledger@.unlogged_chunk AS u
WHERE NOT EXISTS (SELECT FROM @ledger@.pull AS p WHERE p.pull_id = u.pull_id)
  AND NOT EXISTS (SELECT FROM @ledger@.mark AS m WHERE m.pull_id = u.pull_id))sql";

// A job every minute would else fill the ledger, also one that always fails.
constexpr std::string_view kPrune = R"sql(
DELETE FROM @ledger@.pull
WHERE pull_id IN (
  SELECT pull_id
  FROM (SELECT pull_id,
               pg_catalog.row_number() OVER (PARTITION BY state = 'done' ORDER BY pull_id DESC) AS place
        FROM @ledger@.pull
        WHERE "table" = $1::pg_catalog.oid AND kind = 'append'
          AND state IN ('done', 'failed', 'cancelled')) AS ended
  WHERE place > 100))sql";

std::vector<Param> subject_params(const AppendSubject &subject) {
  return {std::to_string(subject.table), subject.source_database, subject.source_table,
          subject.filter};
}

} // namespace

// A mark of a role that was not allowed to move the mark before it does not count.
std::optional<AppendMark> AppendLedger::find_mark(const AppendSubject &subject,
                                                  const MayMove &may_move) {
  const Rows candidates = executor_.exec(kFindCandidates, subject_params(subject));
  if (candidates.empty())
    return std::nullopt;
  std::vector<Param> params = subject_params(subject);
  Param pull_id = candidates.at(0, 0);
  auto owner = static_cast<uint32_t>(candidates.integer(0, 1));
  for (size_t row = 1; row < candidates.size(); row++) {
    const auto maker = static_cast<uint32_t>(candidates.integer(row, 1));
    if (owner == 0 || maker == 0 || may_move(maker, owner))
      pull_id = candidates.at(row, 0);
  }
  params.push_back(pull_id);
  const Rows row = executor_.exec(kFindMark, params);
  if (row.empty())
    return std::nullopt;
  return AppendMark{.horizon = row.integer(0, 0),
                    .compare_to = row.integer(0, 1),
                    .relations = split_words(row.text(0, 2)),
                    .system_identifier = row.text(0, 3),
                    .timeline = row.text(0, 4),
                    .key = row.text(0, 5),
                    .highest_key = row.at(0, 6),
                    .pull_id = row.integer(0, 7),
                    .lsn = row.text(0, 8),
                    .local_relations = row.text(0, 9),
                    .is_emptied = row.boolean(0, 10),
                    .is_recorded = row.boolean(0, 11),
                    .source_path = row.at(0, 12),
                    .owner = owner};
}

std::optional<int64_t> AppendLedger::find_unfinished(const AppendSubject &subject,
                                                     const AppendMark &mark,
                                                     const MayMove &may_move) {
  std::vector<Param> params = subject_params(subject);
  params.emplace_back(std::to_string(mark.pull_id));
  const Rows found = executor_.exec(kFindUnfinished, params);
  for (size_t row = 0; row < found.size(); row++)
    if (mark.owner == 0 || may_move(static_cast<uint32_t>(found.integer(row, 1)), mark.owner))
      return found.integer(row, 0);
  return std::nullopt;
}

std::optional<UnmarkedPull> AppendLedger::find_unmarked(const AppendSubject &subject,
                                                        const std::optional<AppendMark> &mark,
                                                        const MayMove &may_move) {
  std::vector<Param> params = subject_params(subject);
  params.emplace_back(std::to_string(mark ? mark->pull_id : 0));
  const uint32_t owner = mark ? mark->owner : 0;
  const Rows found = executor_.exec(kFindUnmarked, params);
  for (size_t row = 0; row < found.size(); row++)
    if (owner == 0 || may_move(static_cast<uint32_t>(found.integer(row, 2)), owner))
      return UnmarkedPull{.pull_id = found.integer(row, 0), .is_open = found.boolean(row, 1)};
  return std::nullopt;
}

// Of a table that was emptied or rewritten since, or is gone, the rows are taken for gone.
bool AppendLedger::has_rows_left(uint32_t table, std::string_view relations) {
  std::string server;
  for (const std::string &word : split_words(relations))
    if (word.starts_with('@'))
      server = word + " ";
    else if (!word.starts_with('=') && !local_relations_.why_changed(table, server + word))
      return true;
  return false;
}

std::optional<int64_t> AppendLedger::find_successor(int64_t pull_id) {
  const Rows found = executor_.exec(kFindSuccessors, {std::to_string(pull_id)});
  for (size_t row = 0; row < found.size(); row++)
    if (has_rows_left(static_cast<uint32_t>(found.integer(row, 1)), found.text(row, 2)))
      return found.integer(row, 0);
  return std::nullopt;
}

bool AppendLedger::has_old_filter(uint32_t table, const std::string &filter) {
  return executor_.exec(kHasOldFilter, {std::to_string(table), filter}).boolean(0, 0);
}

void AppendLedger::save_mark(const AppendSubject &subject, const AppendMark &mark) {
  std::vector<Param> params = subject_params(subject);
  executor_.exec(kDropMark, params);
  for (const Param &value :
       {Param(std::to_string(mark.horizon)), Param(std::to_string(mark.compare_to)),
        Param(join_relations(mark.relations)), null_if_empty(mark.system_identifier),
        null_if_empty(mark.timeline), null_if_empty(mark.key), mark.highest_key,
        Param(std::to_string(mark.pull_id)), null_if_empty(mark.lsn), Param(mark.local_relations),
        mark.source_path, Param(std::to_string(mark.owner))})
    params.push_back(value);
  executor_.exec(kSaveMark, params);
  if (has_unlogged(mark.local_relations))
    executor_.exec(kNotePullUnlogged, {Param(std::to_string(mark.pull_id))});
}

void AppendLedger::prune(uint32_t table) {
  executor_.exec(kPrune, {Param(std::to_string(table))});
  executor_.exec(kPruneUnlogged, {});
}

} // namespace parallel_loader
