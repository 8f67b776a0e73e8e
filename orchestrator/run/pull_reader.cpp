#include "orchestrator/run/pull_reader.hpp"

#include "orchestrator/run/mover.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>

namespace parallel_loader {

namespace {

using std::chrono::microseconds;

constexpr std::string_view kPulls = R"sql(
SELECT p.pull_id, p.run_id, p.source_table, p.table_name, p.state, p.rows, p.bytes, p.chunks,
  p.chunks_done, p.retries, p.workers, p.key, p.format, {1}, {2}, p.waiting_for, p.max_rate,
  p.sqlstate, p.error, p.warning, p.coordinator_pid, {3}, p.hold_ended, {4}, p.snapshot,
  p.began_empty, p.filter, p.kind, pg_catalog.array_to_json(p.columns),
  p.error_detail, p.error_hint, (p.start IS NOT NULL OR p."end" IS NOT NULL),
  p.snapshot_state, p.tables_to_come, p.source, coalesce(p.estimated_bytes, 0), p."table"::oid
FROM {0}.parallel_pulls AS p
WHERE p.pull_id = ANY ($1::bigint[])
ORDER BY p.pull_id)sql";

constexpr std::string_view kChunks = R"sql(
SELECT c.chunk, c.start, c."end", c.state, c.rows, c.bytes, c.attempts, c.route, {1}, {2},
  c.copied_by, c.error
FROM {0}.parallel_pull_chunks AS c
WHERE c.pull_id = $1::bigint
ORDER BY c.chunk)sql";

/// Microseconds since 1970, in whatever zone the session is.
std::string epoch(std::string_view column) {
  return fmt::format("(EXTRACT(epoch FROM {}) OPERATOR(pg_catalog.*) 1000000::numeric)::bigint",
                     column);
}

std::optional<WallTime> time_at(const Rows &rows, size_t row, size_t column) {
  if (rows.is_null(row, column))
    return std::nullopt;
  return WallTime(
      std::chrono::duration_cast<WallTime::duration>(microseconds(rows.integer(row, column))));
}

std::optional<std::vector<std::string>> names_at(const Rows &rows, size_t row, size_t column) {
  if (rows.is_null(row, column))
    return std::nullopt;
  return nlohmann::json::parse(rows.text(row, column)).get<std::vector<std::string>>();
}

/// The ledger has names as SQL needs them, with more quotes than people do.
std::string displayed(const std::string &name) {
  try {
    return parse_qualified_name(name).display();
  } catch (const Error &) {
    return name;
  }
}

PullView pull_at(const Rows &rows, size_t row) {
  PullView pull{.id = rows.text(row, 0),
                .source_table = rows.text(row, 2),
                .table = rows.text(row, 3),
                .state = parse_pull_state(rows.text(row, 4)),
                .rows = rows.integer(row, 5),
                .bytes = rows.integer(row, 6),
                .chunks = rows.required_count(row, 7),
                .chunks_done = rows.required_count(row, 8),
                .retries = rows.required_count(row, 9),
                .workers = rows.required_count(row, 10),
                .key = rows.text(row, 11),
                .format = rows.text(row, 12),
                .started = time_at(rows, row, 13),
                .finished = time_at(rows, row, 14),
                .waiting_for = rows.text(row, 15),
                .max_rate_kb = rows.integer(row, 16),
                .pull_id = rows.integer(row, 0),
                .run_id = rows.integer(row, 1),
                .table_oid = static_cast<uint32_t>(rows.integer(row, 36)),
                .coordinator_pid = rows.integer(row, 20),
                .coordinator_ends = time_at(rows, row, 21),
                .hold_ended = rows.text(row, 22),
                .snapshot_taken = time_at(rows, row, 23),
                .snapshot = rows.text(row, 24),
                .snapshot_state = rows.text(row, 32),
                .filter = rows.text(row, 26),
                .kind = rows.text(row, 27),
                .failure = {},
                .warning = rows.text(row, 19),
                .verify = {},
                .chunk_list = {}};
  pull.source_table = displayed(pull.source_table);
  pull.columns = names_at(rows, row, 28);
  if (!rows.is_null(row, 25))
    pull.began_empty = rows.boolean(row, 25);
  pull.has_bounds = rows.boolean(row, 31);
  if (!rows.is_null(row, 33))
    pull.tables_to_come = static_cast<int>(rows.integer(row, 33));
  pull.source = rows.text(row, 34);
  pull.estimated_bytes = rows.integer(row, 35);
  pull.is_partial = !pull.filter.empty();
  if (!rows.is_null(row, 18))
    pull.failure = FailureView{.sqlstate = rows.text(row, 17),
                               .message = rows.text(row, 18),
                               .detail = rows.text(row, 29),
                               .hint = rows.text(row, 30),
                               .command = {}};
  return pull;
}

std::vector<PullView> pulls_in(const Rows &rows) {
  std::vector<PullView> pulls;
  for (size_t row = 0; row < rows.size(); ++row)
    pulls.push_back(pull_at(rows, row));
  return pulls;
}

} // namespace

std::vector<PullView> read_pulls(Destination &destination, std::span<const int64_t> pull_ids) {
  std::string ids = "{";
  for (const int64_t id : pull_ids)
    ids += (ids.size() > 1 ? "," : "") + std::to_string(id);
  return pulls_in(destination.query(fmt::format(kPulls, destination.schema(), epoch("p.started"),
                                                epoch("p.finished"), epoch("p.coordinator_ends"),
                                                epoch("p.snapshot_taken")),
                                    {ids + "}"}));
}

std::vector<PullView> read_run(Destination &destination, int64_t run_id) {
  const Rows rows =
      destination.query(fmt::format("SELECT pull_id FROM {}.parallel_pulls "
                                    "WHERE $1::bigint = 0 OR run_id = $1::bigint ORDER BY pull_id",
                                    destination.schema()),
                        {std::to_string(run_id)});
  std::vector<int64_t> ids;
  for (size_t row = 0; row < rows.size(); ++row)
    ids.push_back(rows.integer(row, 0));
  std::vector<PullView> pulls;
  pulls.reserve(ids.size());
  for (std::span<const int64_t> left = ids; !left.empty();
       left = left.subspan(std::min(kPullsAtOnce, left.size())))
    std::ranges::move(read_pulls(destination, left.first(std::min(kPullsAtOnce, left.size()))),
                      std::back_inserter(pulls));
  return pulls;
}

std::vector<ChunkView> read_chunks(Destination &destination, int64_t pull_id) {
  const Rows rows = destination.query(
      fmt::format(kChunks, destination.schema(), epoch("c.started"), epoch("c.finished")),
      {std::to_string(pull_id)});
  std::vector<ChunkView> chunks;
  for (size_t row = 0; row < rows.size(); ++row)
    chunks.push_back({.number = rows.required_count(row, 0),
                      .start = rows.text(row, 1),
                      .end = rows.text(row, 2),
                      .state = parse_pull_state(rows.text(row, 3)),
                      .rows = rows.integer(row, 4),
                      .bytes = rows.integer(row, 5),
                      .attempts = rows.required_count(row, 6),
                      .route = rows.text(row, 7),
                      .started = time_at(rows, row, 8),
                      .finished = time_at(rows, row, 9),
                      .copied_by = rows.integer(row, 10),
                      .error = rows.text(row, 11)});
  return chunks;
}

int read_chunk_count(Destination &destination, int64_t pull_id) {
  return static_cast<int>(
      destination
          .query(fmt::format("SELECT pg_catalog.count(*) FROM {}.parallel_pull_chunks "
                             "WHERE pull_id = $1::bigint",
                             destination.schema()),
                 {std::to_string(pull_id)})
          .integer(0, 0));
}

} // namespace parallel_loader
