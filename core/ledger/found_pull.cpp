#include "core/ledger/found_pull.hpp"

#include "core/ledger/lock_class.hpp"

namespace parallel_loader {

namespace {

// The coordinator's lock tells a live pull from an interrupted one; a condition follows.
constexpr std::string_view kLookUp = R"sql(
SELECT p.pull_id, p.owner::pg_catalog.oid, p."table"::pg_catalog.oid, p.state, p.snapshot,
  (SELECT pg_catalog.count(*) FROM @ledger@.chunk AS c
   WHERE c.pull_id = p.pull_id AND c.state <> 'done'),
  p.segment, l.pid IS NOT NULL, p.kind, p.workers, p.source, coalesce(p.key, ''),
  EXISTS (SELECT FROM @ledger@.chunk AS c WHERE c.pull_id = p.pull_id AND c.state = 'done'),
  EXISTS (SELECT FROM @ledger@.pull AS o WHERE o.run_id = p.run_id AND o.pull_id <> p.pull_id
          AND o.snapshot_lock IS NOT DISTINCT FROM p.snapshot_lock),
  p.snapshot_lock IS NOT NULL, l.pid,
  coalesce((SELECT pg_catalog.format('%I.%I', s.nspname, c.relname)
            FROM pg_catalog.pg_class AS c
            JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
            WHERE c.oid = p."table"::pg_catalog.oid),
    p.table_name, p."table"::pg_catalog.oid::pg_catalog.text),
  EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = p."table"::pg_catalog.oid), p.tableoid,
  coalesce(p.coordinator, p.pull_id), p.run_id
FROM @ledger@.pull AS p
LEFT JOIN pg_catalog.pg_locks AS l ON l.locktype = 'advisory' AND l.granted
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                    WHERE d.datname = pg_catalog.current_database())
  AND l.classid::bigint = coalesce(p.coordinator, p.pull_id) >> 32 & 4294967295
  AND l.objid::bigint = coalesce(p.coordinator, p.pull_id) & 4294967295
  AND l.objsubid = @class@
WHERE )sql";

constexpr std::string_view kFindResumer = R"sql(
SELECT l.pid
FROM pg_catalog.pg_locks AS l
WHERE l.locktype = 'advisory' AND l.granted
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                    WHERE d.datname = pg_catalog.current_database())
  AND l.classid::bigint = $1::bigint >> 32 AND l.objid::bigint = $1::bigint & 4294967295
  AND l.objsubid = @class@)sql";

constexpr std::string_view kFindBegun = R"sql(
SELECT p.pull_id
FROM @ledger@.pull AS p
WHERE p.kind = 'pull' AND p.state <> 'done' AND p."table" = $1::pg_catalog.oid
  AND p.range_start IS NULL AND p.range_end IS NULL
  AND pg_catalog.pg_has_role($2::pg_catalog.oid, p.owner, 'USAGE')
  AND EXISTS (SELECT FROM @ledger@.chunk AS c
              WHERE c.pull_id = p.pull_id AND c.state = 'done' AND c.rows > 0)
ORDER BY p.pull_id DESC LIMIT 1)sql";

constexpr std::string_view kIsOfOldFilter = R"sql(
SELECT EXISTS (
  SELECT FROM @ledger@.pull AS p
  WHERE p.pull_id = $1::bigint AND p.filter IS NOT NULL AND p.snapshot IS NOT NULL
    AND p.source_path IS NULL AND EXISTS (
      SELECT FROM @ledger@.chunk AS c WHERE c.pull_id = p.pull_id AND c.state = 'done')))sql";

// An array of its own, for the index on the table.  A pull notes its end after the commits of all
// its chunks, so those of one that had ended were there to be seen.  One without a coordinator
// notes no end: there the time of a chunk counts, which is that of its last statement.
constexpr std::string_view kIsLaterLoader = R"sql(
p."table" = ANY (ARRAY(
  SELECT $1::pg_catalog.oid
  UNION ALL SELECT t.relid::pg_catalog.oid
  FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) AS t
  UNION ALL SELECT a.relid::pg_catalog.oid
  FROM pg_catalog.pg_partition_ancestors($1::pg_catalog.oid::pg_catalog.regclass) AS a(relid)))
AND (l.pid IS NOT NULL AND p.state IN ('planned', 'running', 'paused')
  OR EXISTS (SELECT FROM @ledger@.chunk AS c WHERE c.pull_id = p.pull_id AND c.state = 'done'
    AND coalesce(p.finished, c.finished) > $2::timestamptz))
LIMIT 1)sql";

constexpr std::string_view kIsLive =
    "l.pid IS NOT NULL AND p.state IN ('planned', 'running', 'paused')";

std::string with_class(std::string_view statement, uint16_t lock_class) {
  return replace_marks(statement, "@class@", std::to_string(lock_class));
}

FoundPull read_row(const Rows &rows, size_t row) {
  FoundPull found;
  found.pull_id = rows.integer(row, 0);
  found.owner = static_cast<uint32_t>(rows.integer(row, 1));
  found.table = static_cast<uint32_t>(rows.integer(row, 2));
  found.snapshot = rows.text(row, 4);
  found.chunks_left = static_cast<int>(rows.integer(row, 5));
  found.segment = static_cast<uint32_t>(rows.integer(row, 6));
  found.kind = rows.text(row, 8);
  found.workers = static_cast<int>(rows.integer(row, 9));
  found.source = rows.text(row, 10);
  found.key = rows.text(row, 11);
  found.is_begun = rows.boolean(row, 12);
  found.shares_snapshot = rows.boolean(row, 13);
  found.has_snapshot_lock = rows.boolean(row, 14);
  found.coordinator_pid = static_cast<int>(rows.integer(row, 15));
  found.table_name = rows.text(row, 16);
  found.has_table = rows.boolean(row, 17);
  found.ledger = static_cast<uint32_t>(rows.integer(row, 18));
  found.coordinator = rows.integer(row, 19);
  found.run_id = rows.integer(row, 20);
  const PullState recorded = parse_pull_state(rows.text(row, 3));
  const bool has_coordinator = rows.boolean(row, 7);
  found.is_live = has_coordinator && !has_ended(recorded);
  found.is_held = has_coordinator && has_ended(recorded);
  found.state = has_coordinator || has_ended(recorded) ? recorded : PullState::kInterrupted;
  return found;
}

std::optional<int64_t> first_id(const std::vector<FoundPull> &pulls) {
  return pulls.empty() ? std::nullopt : std::optional(pulls.front().pull_id);
}

} // namespace

Error loading_error(const QualifiedName &table, int64_t pull_id) {
  return {"55006", "pull " + std::to_string(pull_id) + " loads table " + table.cited() + ", too",
          "Its rows could be there twice.",
          "Wait until that pull has ended, or cancel it, and look at the table before you copy it "
          "again."};
}

std::vector<FoundPull> PullFinder::look_up(std::string_view condition,
                                           const std::vector<Param> &params) {
  const std::string statement = with_class(kLookUp, kPullLockClass) + std::string(condition);
  const Rows rows = executor_.exec(statement, params);
  std::vector<FoundPull> pulls;
  for (size_t row = 0; row < rows.size(); row++)
    pulls.push_back(read_row(rows, row));
  return pulls;
}

std::optional<FoundPull> PullFinder::find(int64_t pull_id) {
  const std::vector<FoundPull> pulls = look_up("p.pull_id = $1::bigint", {std::to_string(pull_id)});
  return pulls.empty() ? std::nullopt : std::optional(pulls.front());
}

int PullFinder::find_resumer(int64_t pull_id) {
  const Rows rows =
      executor_.exec(with_class(kFindResumer, kResumeLockClass), {std::to_string(pull_id)});
  return rows.empty() ? 0 : static_cast<int>(rows.integer(0, 0));
}

std::vector<FoundPull> PullFinder::find_live() {
  return look_up(kIsLive);
}

std::vector<FoundPull> PullFinder::find_held() {
  return look_up("p.state IN ('failed', 'cancelled') AND l.pid IS NOT NULL ORDER BY p.finished");
}

// One that is live says more than one that is held; its memory is the same.
std::vector<FoundPull> PullFinder::find_coordinators() {
  return look_up("p.pull_id = ANY (ARRAY(SELECT pg_catalog.max(o.pull_id) FROM @ledger@.pull AS o "
                 "WHERE coalesce(o.coordinator, o.pull_id) = ANY (ARRAY(SELECT "
                 "(k.classid::bigint << 32) | k.objid::bigint FROM pg_catalog.pg_locks AS k "
                 "WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = " +
                 std::to_string(kPullLockClass) +
                 ")) GROUP BY coalesce(o.coordinator, o.pull_id))) AND l.pid IS NOT NULL");
}

std::optional<int64_t> PullFinder::find_live_into(uint32_t table) {
  return first_id(look_up(std::string(kIsLive) + " AND p.\"table\" = $1::pg_catalog.oid",
                          {std::to_string(table)}));
}

std::optional<FoundPull> PullFinder::find_loader(uint32_t table, const std::string &since) {
  const std::vector<FoundPull> pulls = look_up(kIsLaterLoader, {std::to_string(table), since});
  return pulls.empty() ? std::nullopt : std::optional(pulls.front());
}

std::optional<int64_t> PullFinder::find_live_whole(const AppendSubject &subject) {
  return first_id(look_up(std::string(kIsLive) +
                              " AND p.kind = 'pull' AND p.\"table\" = $1::pg_catalog.oid"
                              " AND p.range_start IS NULL AND p.range_end IS NULL"
                              " AND coalesce(p.filter, '') = $4::pg_catalog.text"
                              " AND (p.source_database IS NULL"
                              " OR p.source_database = $2::pg_catalog.text"
                              " AND p.source_table = $3::pg_catalog.text)",
                          {std::to_string(subject.table), subject.source_database,
                           subject.source_table, subject.filter}));
}

std::optional<int64_t> PullFinder::find_begun(uint32_t table, uint32_t role) {
  const Rows rows = executor_.exec(kFindBegun, {std::to_string(table), std::to_string(role)});
  return rows.empty() ? std::nullopt : std::optional(rows.integer(0, 0));
}

bool PullFinder::has_old_filter(int64_t pull_id) {
  return executor_.exec(kIsOfOldFilter, {std::to_string(pull_id)}).boolean(0, 0);
}

} // namespace parallel_loader
