#include "core/source/source_relations.hpp"

#include <algorithm>
#include <map>

namespace parallel_loader {
namespace {

// The catalogue's own row is the snapshot's; pg_relation_filenode and to_regclass answer for now.
constexpr std::string_view kStates = R"sql(
SELECT w.name,
  w.oid <> 0::pg_catalog.oid AND w.oid IS DISTINCT FROM n.oid,
  c.oid IS NULL OR c.relfilenode <> 0::pg_catalog.oid
    AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid::pg_catalog.regclass)
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.text[]))
  WITH ORDINALITY AS w(oid, name, number)
CROSS JOIN LATERAL (SELECT pg_catalog.to_regclass(w.name)::pg_catalog.oid AS oid) AS n
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = n.oid
WHERE w.oid <> 0::pg_catalog.oid AND w.oid IS DISTINCT FROM n.oid OR c.oid IS NULL
  OR c.relfilenode <> 0::pg_catalog.oid
    AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid::pg_catalog.regclass)
ORDER BY w.number LIMIT 1)sql";

// An index that is younger than the snapshot has no row in pg_class, pg_get_indexdef knows it.
constexpr std::string_view kLocked = R"sql(
SELECT DISTINCT l.relation::pg_catalog.int8,
  CASE WHEN c.relkind = 'v'::"char"
    THEN pg_catalog.hashtextextended(pg_catalog.pg_get_viewdef(c.oid), 0)::pg_catalog.text
    ELSE coalesce(c.relfilenode, 0::pg_catalog.oid)::pg_catalog.text END,
  coalesce(l.relation::pg_catalog.regclass::pg_catalog.text, ''),
  c.oid IS NULL OR c.relfilenode <> 0::pg_catalog.oid
    AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid::pg_catalog.regclass),
  coalesce(c.relkind, 'r'::"char")
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
WHERE l.locktype = 'relation'::pg_catalog.text AND l.pid = pg_catalog.pg_backend_pid()
  AND l.granted AND l.relation >= 16384::pg_catalog.oid
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                    WHERE d.datname = pg_catalog.current_database())
  AND (c.relkind IN ('r'::"char", 'p'::"char", 'm'::"char", 'f'::"char", 'v'::"char")
    OR c.oid IS NULL AND pg_catalog.pg_get_indexdef(l.relation) IS NULL)
ORDER BY 1)sql";

// pg_inherits is the snapshot's, pg_partition_tree answers for now.  A partition whose detachment
// is pending was none already when the snapshot was taken.  One that was made after that has no
// rows that the snapshot shows, and no row in pg_class.
constexpr std::string_view kPartitions = R"sql(
WITH RECURSIVE before(oid) AS (
  SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i
  WHERE i.inhparent = ANY ($1::pg_catalog.oid[])
    AND coalesce(pg_catalog.to_jsonb(i) ->> 'inhdetachpending', 'false') = 'false'
  UNION
  SELECT i.inhrelid FROM before AS b JOIN pg_catalog.pg_inherits AS i ON i.inhparent = b.oid
  WHERE coalesce(pg_catalog.to_jsonb(i) ->> 'inhdetachpending', 'false') = 'false'),
now(oid) AS (
  SELECT DISTINCT p.relid::pg_catalog.oid
  FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS t(oid)
  CROSS JOIN LATERAL pg_catalog.pg_partition_tree(t.oid::pg_catalog.regclass) AS p
  WHERE p.level > 0)
SELECT n.nspname, c.relname, w.oid IS NULL
FROM before AS b FULL JOIN now AS w ON w.oid = b.oid
JOIN pg_catalog.pg_class AS c ON c.oid = coalesce(b.oid, w.oid)
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE b.oid IS NULL OR w.oid IS NULL
ORDER BY c.oid LIMIT 1)sql";

// Of children that inherit nothing tells who they are now.  But the snapshot's row of pg_inherits
// knows in xmax who has deleted it since, INHERIT writes the child's columns anew, and CREATE OR
// REPLACE the view's rule.
constexpr std::string_view kChildren = R"sql(
WITH was AS (
  SELECT pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) AS xmin),
changed AS (
  SELECT i.inhrelid AS oid, true AS is_gone, i.xmax::pg_catalog.text::pg_catalog.int8 AS xid
  FROM pg_catalog.pg_inherits AS i
  WHERE i.inhparent = ANY ($1::pg_catalog.oid[]) AND i.inhrelid <> ALL ($1::pg_catalog.oid[])
  UNION ALL
  SELECT a.attrelid, false, a.xmax::pg_catalog.text::pg_catalog.int8
  FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0::pg_catalog.int2
  UNION ALL
  SELECT r.ev_class, false, r.xmax::pg_catalog.text::pg_catalog.int8
  FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = ANY ($1::pg_catalog.oid[])),
since AS (
  SELECT c.oid, c.is_gone, was.xmin, (c.xid - was.xmin % 4294967296 + 4294967296) % 4294967296 AS age
  FROM changed AS c CROSS JOIN was WHERE c.xid <> 0)
SELECT n.nspname, c.relname, s.is_gone
FROM since AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE CASE WHEN s.age < 2147483648
  THEN pg_catalog.txid_status(s.xmin + s.age) = 'committed' ELSE false END
ORDER BY s.is_gone DESC, c.oid)sql";

constexpr const char *kSnapshotOfNow =
    "Pull again, under a snapshot of now; if rows have come already, empty the table before.";

std::string first_name(const Rows &found) {
  return QualifiedName{found.text(0, 0), found.text(0, 1)}.cited();
}

Rows exec_for(Executor &source, std::string_view sql, std::span<const uint32_t> oids) {
  std::vector<std::string> texts;
  for (const uint32_t oid : oids)
    texts.push_back(std::to_string(oid));
  return source.exec(sql, {Param(array_literal(texts))});
}

[[noreturn]] void throw_rewritten(const std::string &name) {
  throw SourceChanged(
      "table " + name + " of the source was emptied or rewritten after the snapshot was taken",
      "The snapshot no longer shows the table's rows: this follows from TRUNCATE, from an ALTER "
      "TABLE that rewrites, and from REFRESH; CLUSTER and VACUUM FULL cannot be told from them.",
      kSnapshotOfNow);
}

// To look at a partition locks it, also one that nothing else touches.
template <class Fn> void look(Executor &source, Fn fn) {
  source.exec("SAVEPOINT parallel_loader_look");
  fn();
  source.exec("ROLLBACK TO SAVEPOINT parallel_loader_look");
  source.exec("RELEASE SAVEPOINT parallel_loader_look");
}

} // namespace

void throw_replaced(const std::string &name) {
  throw SourceChanged("table " + name + " of the source is no longer the one that was planned",
                      "It was dropped or renamed, or another one has its name.", kSnapshotOfNow);
}

void require_as_snapshot(Executor &source, std::span<const ExpectedRelation> relations) {
  std::vector<std::string> oids, names;
  for (const ExpectedRelation &relation : relations) {
    oids.push_back(std::to_string(relation.oid));
    names.push_back(relation.name.quoted());
  }
  const Rows changed =
      source.exec(kStates, {Param(array_literal(oids)), Param(array_literal(names))});
  if (changed.empty())
    return;
  if (changed.boolean(0, 1))
    throw_replaced(changed.text(0, 0));
  throw_rewritten(changed.text(0, 0));
}

Shape locked_relations(Executor &source) {
  const Rows rows = source.exec(kLocked);
  Shape shape;
  for (size_t row = 0; row < rows.size(); ++row) {
    if (rows.boolean(row, 3))
      throw_rewritten(rows.text(row, 2));
    shape.push_back({.part = ShapePart::kRelation,
                     .name = rows.text(row, 0),
                     .place = rows.text(row, 4),
                     .type = rows.text(row, 1),
                     .words = rows.text(row, 2)});
  }
  return shape;
}

void require_partitions_as_snapshot(Executor &source, std::span<const uint32_t> tables) {
  const Rows changed = exec_for(source, kPartitions, tables);
  if (changed.empty())
    return;
  const bool is_gone = changed.boolean(0, 2);
  throw SourceChanged("partition " + first_name(changed) + " of the source was " +
                          (is_gone ? "detached" : "attached") + " after the snapshot was taken",
                      is_gone ? "The snapshot shows its rows, but the table no longer has them."
                              : "The table has its rows now, but the snapshot does not show them.",
                      kSnapshotOfNow);
}

void add_columns(Executor &source, Shape &locked) {
  constexpr std::string_view kColumns = R"sql(
SELECT a.attrelid::pg_catalog.int8, pg_catalog.hashtextextended(pg_catalog.string_agg(
  pg_catalog.concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod), ',' ORDER BY a.attnum), 0)
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY 1)sql";
  std::vector<uint32_t> oids;
  for (const ShapeLine &line : locked)
    oids.push_back(static_cast<uint32_t>(std::stoul(line.name)));
  const Rows rows = exec_for(source, kColumns, oids);
  std::map<std::string, std::string> columns;
  for (size_t row = 0; row < rows.size(); ++row)
    columns.emplace(rows.text(row, 0), ":" + rows.text(row, 1));
  for (ShapeLine &line : locked)
    line.place += columns[line.name];
}

void require_members_as_snapshot(Executor &source, const Shape &locked) {
  std::vector<uint32_t> all, partitioned;
  for (const ShapeLine &line : locked) {
    const auto oid = static_cast<uint32_t>(std::stoul(line.name));
    all.push_back(oid);
    if (line.place == "p")
      partitioned.push_back(oid);
  }
  look(source, [&] { require_partitions_as_snapshot(source, partitioned); });
  const Rows changed = exec_for(source, kChildren, all);
  if (changed.empty())
    return;
  const std::string name = "table " + first_name(changed) + " of the source";
  if (changed.boolean(0, 2))
    throw SourceChanged(
        name + " ceased to inherit after the snapshot was taken",
        "The snapshot shows its rows with those of its parent, but the parent no longer has them.",
        kSnapshotOfNow);
  throw SourceChanged(
      name + " was altered after the snapshot was taken",
      "The view may show other rows by now than when the snapshot was taken: this "
      "follows from CREATE OR REPLACE VIEW, and from a table that begins to inherit.",
      kSnapshotOfNow);
}

Shape partition_tree(Executor &source, uint32_t oid) {
  const Rows rows = source.exec(
      "SELECT p.relid::pg_catalog.oid::pg_catalog.int8, p.relid::pg_catalog.text"
      " FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) AS p",
      {Param(std::to_string(oid))});
  Shape shape;
  for (size_t row = 0; row < rows.size(); ++row)
    shape.push_back({.part = ShapePart::kRelation,
                     .name = rows.text(row, 0),
                     .place = {},
                     .type = {},
                     .words = rows.text(row, 1)});
  return shape;
}

Shape look_at_partition_tree(Executor &source, uint32_t oid) {
  Shape tree;
  look(source, [&] { tree = partition_tree(source, oid); });
  return tree;
}

const ShapeLine *find_new(const Shape &planned, const Shape &now) {
  for (const ShapeLine &line : now) {
    const bool is_known = std::ranges::any_of(planned, [&](const ShapeLine &known) {
      return known.part == ShapePart::kRelation && known.name == line.name;
    });
    if (!is_known)
      return &line;
  }
  return nullptr;
}

// Functions and filters read tables of their own, which nothing tells from those of the view but
// that they have not been altered.
std::optional<std::string> find_joined(Executor &source, const Shape &planned,
                                       const std::set<uint32_t> &read) {
  std::vector<uint32_t> added;
  for (const ShapeLine &line : locked_relations(source))
    if (const auto oid = static_cast<uint32_t>(std::stoul(line.name));
        !read.contains(oid) && find_new(planned, {line}) != nullptr)
      added.push_back(oid);
  if (added.empty())
    return std::nullopt;
  const Rows changed = exec_for(source, kChildren, added);
  for (size_t row = 0; row < changed.size(); ++row)
    if (!changed.boolean(row, 2))
      return QualifiedName{changed.text(row, 0), changed.text(row, 1)}.cited();
  return std::nullopt;
}

std::vector<std::string> row_relations(const Shape &locked) {
  std::vector<std::string> relations;
  for (const ShapeLine &line : locked)
    if (line.part == ShapePart::kRelation && line.place != "p" && line.place != "v")
      relations.push_back(line.name + ":" + line.type);
  return relations;
}

std::vector<std::string> row_relations(Executor &source, std::span<const uint32_t> oids) {
  const Rows rows = exec_for(source,
                             "SELECT c.oid::pg_catalog.text || ':' || c.relfilenode"
                             " FROM pg_catalog.pg_class AS c"
                             " WHERE c.oid = ANY ($1::pg_catalog.oid[]) ORDER BY c.oid",
                             oids);
  std::vector<std::string> relations;
  for (size_t row = 0; row < rows.size(); ++row)
    relations.push_back(rows.text(row, 0));
  return relations;
}

} // namespace parallel_loader
