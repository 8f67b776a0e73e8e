#include "core/ledger/run_ledger.hpp"

#include "core/base/quote.hpp"

namespace parallel_loader {

namespace {

// The coordinator that takes pulls has the key of the first pull that it has planned.
constexpr std::string_view kFind = R"sql(
SELECT o.coordinator, o.owner::pg_catalog.oid, o.source, o.segment, o.tableoid
FROM (SELECT (k.classid::bigint << 32) | k.objid::bigint AS key FROM pg_catalog.pg_locks AS k
      WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 20556
        AND k.classid::bigint >= 2147483648
        AND k.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                          WHERE d.datname = pg_catalog.current_database())) AS l
JOIN @ledger@.pull AS f ON f.pull_id = -l.key AND f.run_id = $1::bigint
CROSS JOIN LATERAL (SELECT c.coordinator, c.owner, c.source, c.segment, c.tableoid
                    FROM @ledger@.pull AS c WHERE c.coordinator = l.key LIMIT 1) AS o
ORDER BY o.coordinator LIMIT 1)sql";

constexpr std::string_view kFindComplete = R"sql(
SELECT p.pull_id FROM @ledger@.pull AS p
WHERE p.coordinator = $1::bigint AND p.state IN ('planned', 'running', 'paused')
  AND ($2::bigint[] IS NULL OR p.pull_id = ANY ($2::bigint[]))
  AND NOT EXISTS (SELECT FROM @ledger@.chunk AS c
                  WHERE c.pull_id = p.pull_id AND c.state <> 'done'))sql";

// By pull_id: while a session works on the run, its snapshot keeps all that the index of
// coordinators ever had of the run's pulls.
constexpr std::string_view kFindCompleteOf = R"sql(
SELECT p.pull_id FROM @ledger@.pull AS p
WHERE p.pull_id = ANY ($2::bigint[]) AND p.coordinator IS NOT DISTINCT FROM $1::bigint
  AND p.state IN ('planned', 'running', 'paused')
  AND NOT EXISTS (SELECT FROM @ledger@.chunk AS c
                  WHERE c.pull_id = p.pull_id AND c.state <> 'done'))sql";

constexpr std::string_view kMarkDone = R"sql(
UPDATE @ledger@.pull SET state = 'done', finished = pg_catalog.clock_timestamp()
WHERE pull_id = ANY ($1::bigint[]))sql";

constexpr std::string_view kMarkRunning = R"sql(
UPDATE @ledger@.pull SET state = 'running'
WHERE pull_id = ANY ($1::bigint[]) AND state = 'planned')sql";

constexpr std::string_view kMarkPaused = R"sql(
UPDATE @ledger@.pull SET state = 'paused'
WHERE coordinator = $1::bigint AND state IN ('planned', 'running'))sql";

constexpr std::string_view kMarkUnpaused = R"sql(
UPDATE @ledger@.pull AS p
SET state = CASE WHEN EXISTS (SELECT FROM @ledger@.chunk AS c
                              WHERE c.pull_id = p.pull_id AND (c.state = 'done' OR c.attempts > 0))
            THEN 'running' ELSE 'planned' END
WHERE p.coordinator = $1::bigint AND p.state = 'paused')sql";

constexpr std::string_view kSetRunLimits = R"sql(
UPDATE @ledger@.pull
SET workers = coalesce($2::integer, workers),
  max_rate = CASE WHEN $3::integer IS NULL THEN max_rate ELSE nullif($3::integer, 0) END
WHERE coordinator = $1::bigint AND state IN ('planned', 'running', 'paused'))sql";

// A chunk that is being copied has its row locked.
constexpr std::string_view kRevoke = R"sql(
UPDATE @ledger@.chunk AS c SET coordinator = NULL
FROM (SELECT o.chunk FROM @ledger@.chunk AS o
      WHERE o.pull_id = $1::bigint AND o.state <> 'done' AND o.coordinator IS NOT NULL
      FOR UPDATE SKIP LOCKED) AS f
WHERE c.pull_id = $1::bigint AND c.chunk = f.chunk)sql";

constexpr std::string_view kCountUnrevoked = R"sql(
SELECT pg_catalog.count(*) FROM @ledger@.chunk
WHERE pull_id = $1::bigint AND state <> 'done' AND coordinator IS NOT NULL)sql";

constexpr std::string_view kEndAll = R"sql(
UPDATE @ledger@.pull SET state = $2::pg_catalog.text, sqlstate = $3::pg_catalog.text,
  error = $4::pg_catalog.text, error_detail = $5::pg_catalog.text,
  error_hint = $6::pg_catalog.text, finished = pg_catalog.clock_timestamp()
WHERE coordinator = $1::bigint AND state IN ('planned', 'running', 'paused'))sql";

// A pull that has failed with all its chunks done, at the last look at the local table, is resumed
// without the source.
constexpr std::string_view kNoteRunFlushed = R"sql(
UPDATE @ledger@.pull AS p SET source_flushed = snapshot_xmin IS NOT NULL
WHERE p.coordinator = $1::bigint
  AND (p.state IN ('planned', 'running', 'paused', 'done')
       OR NOT EXISTS (SELECT FROM @ledger@.chunk AS c
                      WHERE c.pull_id = p.pull_id AND c.state <> 'done')))sql";

constexpr std::string_view kForgetRunBounds = R"sql(
UPDATE @ledger@.pull AS p SET snapshot_xmin = NULL, snapshot_xmax = NULL, source_flushed = false
WHERE p.coordinator = $1::bigint
  AND (p.state IN ('planned', 'running', 'paused', 'done')
       OR NOT EXISTS (SELECT FROM @ledger@.chunk AS c
                      WHERE c.pull_id = p.pull_id AND c.state <> 'done')))sql";

constexpr std::string_view kLetGo = R"sql(
UPDATE @ledger@.pull SET coordinator = NULL, hold_ended = $2::pg_catalog.text
WHERE pull_id = $1::bigint AND state IN ('failed', 'cancelled') AND coordinator IS NOT NULL
RETURNING pull_id)sql";

constexpr std::string_view kNoteRunHoldEnded = R"sql(
UPDATE @ledger@.pull SET hold_ended = $2::pg_catalog.text
WHERE coordinator = $1::bigint AND state IN ('failed', 'cancelled'))sql";

constexpr std::string_view kHasFailed = R"sql(
SELECT EXISTS (SELECT FROM @ledger@.pull AS p
               JOIN @ledger@.chunk AS c ON c.pull_id = p.pull_id AND c.state <> 'done'
               WHERE p.coordinator = $1::bigint AND p.state = 'failed'))sql";

constexpr std::string_view kOpenChunks = R"sql(
SELECT pg_catalog.count(*) FROM @ledger@.chunk
WHERE coordinator = $1::bigint AND state = 'planned')sql";

std::string id_list(const std::vector<int64_t> &ids) {
  std::vector<std::string> texts;
  texts.reserve(ids.size());
  for (const int64_t id : ids)
    texts.push_back(std::to_string(id));
  return array_literal(texts);
}

Param id(int64_t value) {
  return std::to_string(value);
}

} // namespace

std::optional<FoundRun> RunLedger::find(int64_t run_id) {
  const Rows row = executor_.exec(kFind, {id(run_id)});
  if (row.empty())
    return std::nullopt;
  return FoundRun{.coordinator = row.integer(0, 0),
                  .owner = static_cast<uint32_t>(row.integer(0, 1)),
                  .source = row.text(0, 2),
                  .segment = static_cast<uint32_t>(row.integer(0, 3)),
                  .ledger = static_cast<uint32_t>(row.integer(0, 4))};
}

std::vector<int64_t> RunLedger::find_complete(int64_t coordinator,
                                              const std::optional<std::vector<int64_t>> &pulls) {
  const Rows rows = pulls ? executor_.exec(kFindCompleteOf, {id(coordinator), id_list(*pulls)})
                          : executor_.exec(kFindComplete, {id(coordinator), Param()});
  std::vector<int64_t> complete;
  for (size_t row = 0; row < rows.size(); row++)
    complete.push_back(rows.integer(row, 0));
  return complete;
}

void RunLedger::mark_done(const std::vector<int64_t> &pulls) {
  executor_.exec(kMarkDone, {id_list(pulls)});
}

void RunLedger::mark_running(const std::vector<int64_t> &pulls) {
  executor_.exec(kMarkRunning, {id_list(pulls)});
}

void RunLedger::mark_paused(int64_t coordinator) {
  executor_.exec(kMarkPaused, {id(coordinator)});
}

void RunLedger::mark_unpaused(int64_t coordinator) {
  executor_.exec(kMarkUnpaused, {id(coordinator)});
}

void RunLedger::set_limits(int64_t coordinator, std::optional<int> workers,
                           std::optional<int> max_rate_kb) {
  executor_.exec(kSetRunLimits, {id(coordinator), workers ? id(*workers) : Param(),
                                 max_rate_kb ? id(*max_rate_kb) : Param()});
}

int RunLedger::revoke_chunks(int64_t pull_id) {
  executor_.exec(kRevoke, {id(pull_id)});
  return static_cast<int>(executor_.exec(kCountUnrevoked, {id(pull_id)}).integer(0, 0));
}

void RunLedger::end_all(int64_t coordinator, std::string_view state, const PullError &error) {
  executor_.exec(kEndAll, {id(coordinator), std::string(state), null_if_empty(error.sqlstate),
                           null_if_empty(error.message), null_if_empty(error.detail),
                           null_if_empty(error.hint)});
}

void RunLedger::note_flushed(int64_t coordinator) {
  executor_.exec(kNoteRunFlushed, {id(coordinator)});
}

void RunLedger::forget_bounds(int64_t coordinator) {
  executor_.exec(kForgetRunBounds, {id(coordinator)});
}

bool RunLedger::let_go(int64_t pull_id, std::string_view reason) {
  return !executor_.exec(kLetGo, {id(pull_id), null_if_empty(reason)}).empty();
}

void RunLedger::note_hold_ended(int64_t coordinator, std::string_view reason) {
  executor_.exec(kNoteRunHoldEnded, {id(coordinator), std::string(reason)});
}

bool RunLedger::has_failed(int64_t coordinator) {
  return executor_.exec(kHasFailed, {id(coordinator)}).boolean(0, 0);
}

int RunLedger::open_chunks(int64_t coordinator) {
  return static_cast<int>(executor_.exec(kOpenChunks, {id(coordinator)}).integer(0, 0));
}

} // namespace parallel_loader
