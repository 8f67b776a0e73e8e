#include "core/source/relation_sizes.hpp"

#include "core/base/error.hpp"
#include "core/connection/server_info.hpp"

#include <algorithm>
#include <set>
#include <string_view>

namespace parallel_loader {
namespace {

constexpr int kTidRangeSince = 140000; // before, a range of ctid is a filter on a whole scan

// A relation has 2^32 blocks of up to 32 kB at most, and its TOAST table as many.
constexpr int64_t kMostPages = UINT32_MAX;
constexpr int64_t kMostBytes = 1LL << 48;
constexpr int64_t kMostTotal = 1LL << 60;

// Stands for the relations that hold the table's rows.
constexpr std::string_view kItself = "SELECT $1::pg_catalog.oid AS oid, 1 AS position";
constexpr std::string_view kPartitions =
    "SELECT p.relid::pg_catalog.oid AS oid, p.position FROM ROWS FROM ("
    "pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass)) WITH ORDINALITY "
    "AS p(relid, parentrelid, isleaf, level, position) WHERE p.isleaf";

// A partition is read through its parent with the parent's rights alone; by its own name it needs
// rights of its own, and its own row security applies.
constexpr std::string_view kFindLeaves = R"sql(
 SELECT c.oid, n.nspname, c.relname, c.relkind, coalesce(m.amname = 'heap', false),
  pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    AND NOT pg_catalog.row_security_active(c.oid)
    AND (pg_catalog.has_table_privilege(c.oid, 'SELECT')
      OR ($2::pg_catalog.text[] IS NOT NULL
        AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
        AND NOT EXISTS (SELECT FROM pg_catalog.unnest($2::pg_catalog.text[]) AS w(name)
                        WHERE NOT pg_catalog.has_column_privilege(c.oid, w.name, 'SELECT')))),
  pg_catalog.has_column_privilege(c.oid, 'ctid', 'SELECT'),
  pg_catalog.has_column_privilege($1::pg_catalog.oid, 'ctid', 'SELECT'),
  s.pages, s.bytes,
  CASE WHEN c.reltuples < 0 OR c.relpages = 0 THEN -1
    ELSE c.reltuples / c.relpages * s.pages END::bigint
FROM leaf AS l
JOIN pg_catalog.pg_class AS c ON c.oid = l.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
CROSS JOIN LATERAL (SELECT
  CASE WHEN c.relkind IN ('r', 'm') THEN coalesce(pg_catalog.pg_relation_size(c.oid, 'main')
    / pg_catalog.current_setting('block_size')::bigint, 0) ELSE 0 END AS pages,
  CASE WHEN c.relkind IN ('r', 'm') THEN coalesce(pg_catalog.pg_table_size(c.oid), 0)
    ELSE 0 END AS bytes) AS s
ORDER BY l.position)sql";

Leaf read_leaf(const Rows &rows, size_t row) {
  return {.oid = rows.oid(row, 0),
          .name = {rows.required_text(row, 1), rows.required_text(row, 2)},
          .kind = rows.required_text(row, 3).front(),
          .is_heap = rows.required_boolean(row, 4),
          .is_readable = rows.required_boolean(row, 5),
          .can_read_ctid = rows.required_boolean(row, 6),
          .pages = rows.required_integer(row, 8, 0, kMostPages),
          .bytes = rows.required_integer(row, 9, 0, kMostBytes),
          .rows = rows.required_integer(row, 10, -1, kMostBytes)};
}

// Each is below its limit; of more leaves than memory holds the sum would still fit.
int64_t sum(const std::vector<Leaf> &leaves, int64_t Leaf::*part) noexcept {
  int64_t total = 0;
  for (const Leaf &leaf : leaves)
    total = std::min(total + leaf.*part, kMostTotal);
  return total;
}

// A leaf that is named twice would be read twice.
void require_distinct(const std::vector<Leaf> &leaves) {
  std::set<uint32_t> oids;
  for (const Leaf &leaf : leaves)
    if (!oids.insert(leaf.oid).second)
      throw Error(sqlstate::kProtocolViolation,
                  "source names partition " + leaf.name.cited() + " twice");
}

} // namespace

int64_t RelationSizes::bytes() const noexcept {
  return sum(leaves, &Leaf::bytes);
}

int64_t RelationSizes::pages() const noexcept {
  return sum(leaves, &Leaf::pages);
}

int64_t RelationSizes::rows() const noexcept {
  const bool is_known =
      std::ranges::none_of(leaves, [](const Leaf &leaf) { return leaf.rows < 0; });
  return is_known ? sum(leaves, &Leaf::rows) : -1;
}

bool RelationSizes::is_readable_by_leaf() const noexcept {
  return !leaves.empty() && std::ranges::all_of(leaves, &Leaf::is_readable);
}

std::string RelationSizes::missing_for_ctid() const {
  if (server_version < kTidRangeSince)
    return "a source of version 14 or later";
  // A foreign partition is a chunk of its own, whatever the key.
  const bool is_heap = std::ranges::all_of(
      leaves, [](const Leaf &leaf) { return leaf.is_heap || leaf.kind == 'f'; });
  if (!is_heap)
    return "a heap table";
  return can_read_ctid ? "" : "the right to SELECT the whole table";
}

bool RelationSizes::has_tid_ranges(const Leaf &leaf) const noexcept {
  return server_version >= kTidRangeSince && leaf.is_heap && leaf.can_read_ctid;
}

RelationSizes RelationSizes::find(Executor &source, const SourceTable &table,
                                  const std::optional<std::vector<std::string>> &columns) {
  RelationSizes sizes;
  sizes.server_version = server_info(source).version;
  if (std::string_view("rmp").find(table.kind) == std::string_view::npos)
    return sizes;
  std::string sql = "WITH leaf AS (";
  sql.append(table.kind == 'p' ? kPartitions : kItself).append(")").append(kFindLeaves);
  const Rows rows = source.exec(
      sql, {Param(std::to_string(table.oid)), columns ? Param(array_literal(*columns)) : Param()});
  for (size_t row = 0; row < rows.size(); ++row) {
    sizes.leaves.push_back(read_leaf(rows, row));
    sizes.can_read_ctid = rows.required_boolean(row, 7);
  }
  require_distinct(sizes.leaves);
  return sizes;
}

} // namespace parallel_loader
