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

// An index that is younger than the snapshot has no row in pg_class, pg_get_indexdef knows it.  Nor
// has a partition, whose rows the snapshot does not show: it does not matter to a query of its
// root.
constexpr std::string_view kLocked = R"sql(
WITH mine(relation) AS (
  SELECT DISTINCT l.relation FROM pg_catalog.pg_locks AS l
  WHERE l.locktype = 'relation'::pg_catalog.text AND l.pid = pg_catalog.pg_backend_pid()
    AND l.granted AND l.relation >= 16384::pg_catalog.oid
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                      WHERE d.datname = pg_catalog.current_database()))
SELECT l.relation::pg_catalog.int8,
  CASE WHEN c.relkind = 'v'::"char"
    THEN pg_catalog.hashtextextended(pg_catalog.pg_get_viewdef(c.oid), 0)::pg_catalog.text
    ELSE coalesce(c.relfilenode, 0::pg_catalog.oid)::pg_catalog.text END,
  coalesce(l.relation::pg_catalog.regclass::pg_catalog.text, ''),
  c.oid IS NULL OR c.relfilenode <> 0::pg_catalog.oid
    AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid::pg_catalog.regclass),
  coalesce(c.relkind, 'r'::"char")
FROM mine AS l
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
WHERE c.relkind IN ('r'::"char", 'p'::"char", 'm'::"char", 'f'::"char", 'v'::"char")
  OR c.oid IS NULL AND pg_catalog.pg_get_indexdef(l.relation) IS NULL
    AND NOT EXISTS (
      SELECT FROM mine AS root JOIN pg_catalog.pg_class AS r ON r.oid = root.relation
      WHERE root.relation =
        pg_catalog.pg_partition_root(l.relation::pg_catalog.regclass)::pg_catalog.oid)
ORDER BY 1)sql";

// pg_inherits is the snapshot's, pg_partition_tree answers for now.  A partition whose detachment
// is pending was none already when the snapshot was taken.  One that was made after that has no
// rows that the snapshot shows, and no row in pg_class.
constexpr std::string_view kChangedPartitions = R"sql(
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

constexpr std::string_view kTree = R"sql(
WITH RECURSIVE tree(oid) AS (
  SELECT $1::pg_catalog.oid
  UNION
  SELECT i.inhrelid FROM tree AS t JOIN pg_catalog.pg_inherits AS i ON i.inhparent = t.oid))sql";

// The types of a relation's columns, and all that they are made of.
constexpr std::string_view kTypes = R"sql(
WITH RECURSIVE ranges(oid, part) AS (
  SELECT r.rngtypid, r.rngsubtype FROM pg_catalog.pg_range AS r
  UNION ALL
  SELECT (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid, r.rngsubtype
  FROM pg_catalog.pg_range AS r),
types(relation, oid) AS (
  SELECT DISTINCT a.attrelid, a.atttypid FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0::pg_catalog.int2
    AND NOT a.attisdropped
  UNION
  SELECT t.relation, p.oid
  FROM types AS t
  JOIN pg_catalog.pg_type AS y ON y.oid = t.oid
  CROSS JOIN LATERAL (
    SELECT pg_catalog.unnest(ARRAY[y.typelem, y.typbasetype])
    UNION ALL
    SELECT r.part FROM ranges AS r WHERE r.oid = y.oid
    UNION ALL
    SELECT a.atttypid FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = y.typrelid AND y.typrelid <> 0::pg_catalog.oid
      AND a.attnum > 0::pg_catalog.int2 AND NOT a.attisdropped) AS p(oid)
  WHERE p.oid >= 16384::pg_catalog.oid),
made(relation, oid, fields) AS (
  SELECT t.relation, t.oid, y.typrelid FROM types AS t
  JOIN pg_catalog.pg_type AS y ON y.oid = t.oid WHERE y.oid >= 16384::pg_catalog.oid))sql";

// Of children that inherit nothing tells who they are now.  But the snapshot's row of pg_inherits
// knows in xmax who has deleted it since; so do the rows of a view's rule and of an enum's labels.
// Those of relations and columns, among which are new ones, are also written where it does not
// matter.
constexpr std::string_view kAltered = R"sql(,
was AS (
  SELECT pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) AS xmin),
written(what, relation, oid, xid) AS (
  SELECT 'child', i.inhrelid, i.inhrelid, i.xmax FROM pg_catalog.pg_inherits AS i
  WHERE i.inhparent = ANY ($1::pg_catalog.oid[]) AND i.inhrelid <> ALL ($1::pg_catalog.oid[])
  UNION ALL
  SELECT 'rule', r.ev_class, r.ev_class, r.xmax FROM pg_catalog.pg_rewrite AS r
  WHERE r.ev_class = ANY ($1::pg_catalog.oid[]) AND r.rulename = '_RETURN'::pg_catalog.name
  UNION ALL
  SELECT 'labels', m.relation, m.oid, e.xmax
  FROM made AS m JOIN pg_catalog.pg_enum AS e ON e.enumtypid = m.oid
  UNION ALL
  SELECT 'columns', c.oid, c.oid, c.xmax FROM pg_catalog.pg_class AS c
  WHERE c.oid = ANY ($1::pg_catalog.oid[])
  UNION ALL
  SELECT 'columns', m.relation, m.relation, c.xmax
  FROM made AS m JOIN pg_catalog.pg_class AS c ON c.oid = m.fields
  WHERE m.fields <> 0::pg_catalog.oid
  UNION ALL
  SELECT 'columns', a.attrelid, a.attrelid, a.xmax FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0::pg_catalog.int2
  UNION ALL
  SELECT 'columns', m.relation, m.relation, a.xmax
  FROM made AS m JOIN pg_catalog.pg_attribute AS a ON a.attrelid = m.fields
  WHERE m.fields <> 0::pg_catalog.oid AND a.attnum > 0::pg_catalog.int2),
since AS (
  SELECT w.what, w.relation, w.oid, was.xmin,
    (w.xid::pg_catalog.text::pg_catalog.int8 - was.xmin % 4294967296 + 4294967296) % 4294967296 AS age
  FROM written AS w CROSS JOIN was WHERE w.xid::pg_catalog.text <> '0')
SELECT DISTINCT s.what, n.nspname, c.relname, s.relation::pg_catalog.int8,
  CASE s.what WHEN 'labels' THEN pg_catalog.format_type(s.oid, NULL) END
FROM since AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE CASE WHEN s.age < 2147483648
  THEN pg_catalog.txid_status(s.xmin + s.age) = 'committed' ELSE false END
ORDER BY 4, 1)sql";

// What matters of relations' columns: they themselves and the fields of their types; and those of
// the relations $2 that they inherit from.  Labels may be added, so they stand by themselves.
constexpr std::string_view kColumns = R"sql(,
content(relation, line) AS (
  SELECT a.attrelid, pg_catalog.concat_ws(' ', 'column', pg_catalog.lpad(a.attnum::pg_catalog.text, 5),
    a.attname, a.atttypid, a.atttypmod)
  FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0::pg_catalog.int2
    AND NOT a.attisdropped
  UNION ALL
  SELECT m.relation, pg_catalog.concat_ws(' ', 'field', m.oid,
    pg_catalog.lpad(a.attnum::pg_catalog.text, 5), a.attname, a.atttypid, a.atttypmod)
  FROM made AS m JOIN pg_catalog.pg_attribute AS a ON a.attrelid = m.fields
  WHERE m.fields <> 0::pg_catalog.oid AND a.attnum > 0::pg_catalog.int2 AND NOT a.attisdropped)
SELECT l.relation::pg_catalog.int8, pg_catalog.hashtextextended(
    pg_catalog.string_agg(l.line, pg_catalog.chr(10) ORDER BY l.line COLLATE pg_catalog."C"), 0),
  (SELECT pg_catalog.string_agg(i.inhparent::pg_catalog.text, ' ' ORDER BY i.inhparent)
   FROM pg_catalog.pg_inherits AS i
   WHERE i.inhrelid = l.relation AND i.inhparent = ANY ($2::pg_catalog.oid[]))
FROM content AS l GROUP BY l.relation ORDER BY 1)sql";

constexpr std::string_view kLabels = R"sql(
SELECT m.oid::pg_catalog.int8, pg_catalog.format_type(m.oid, NULL), pg_catalog.string_agg(
  e.enumlabel::pg_catalog.text, pg_catalog.chr(10) ORDER BY e.enumsortorder)
FROM (SELECT DISTINCT made.oid FROM made) AS m
JOIN pg_catalog.pg_enum AS e ON e.enumtypid = m.oid GROUP BY m.oid ORDER BY m.oid)sql";

constexpr const char *kSnapshotOfNow =
    "Pull again, under a snapshot of now; if rows have come already, empty the table before.";

std::string first_name(const Rows &found) {
  return QualifiedName{found.text(0, 0), found.text(0, 1)}.cited();
}

Param oid_array(std::span<const uint32_t> oids) {
  std::vector<std::string> texts;
  for (const uint32_t oid : oids)
    texts.push_back(std::to_string(oid));
  return Param(array_literal(texts));
}

Rows exec_for(Executor &source, std::string_view sql, std::span<const uint32_t> oids) {
  return source.exec(sql, {oid_array(oids)});
}

[[noreturn]] void throw_rewritten(const std::string &name) {
  throw SourceChanged(
      "table " + name + " of the source was emptied or rewritten after the snapshot was taken",
      "The snapshot no longer shows the table's rows: this follows from TRUNCATE, from an ALTER "
      "TABLE that rewrites, and from REFRESH; CLUSTER and VACUUM FULL cannot be told from them.",
      kSnapshotOfNow);
}

[[noreturn]] void throw_altered(const QualifiedName &name, const std::string &how,
                                const std::string &detail) {
  throw SourceChanged("table " + name.cited() + " of the source was " + how +
                          " after the snapshot was taken",
                      detail, kSnapshotOfNow);
}

[[noreturn]] void throw_found(const std::string &what, const QualifiedName &name,
                              const std::string &type) {
  if (what == "child")
    throw_altered(name, "detached from its parent",
                  "The snapshot shows its rows with those of its parent, but the parent no longer "
                  "has them.");
  if (what == "rule")
    throw_altered(name, "replaced", "It is a view, and may show other rows by now.");
  throw_altered(name, "altered",
                "Labels of enum " + type + ", which its columns have, were renamed.");
}

uint32_t oid_of(const ShapeLine &line) {
  return static_cast<uint32_t>(std::stoul(line.name));
}

std::vector<uint32_t> oids_of(const Shape &locked) {
  std::vector<uint32_t> oids;
  for (const ShapeLine &line : locked)
    oids.push_back(oid_of(line));
  return oids;
}

std::string with_types(std::string_view rest) {
  return std::string(kTypes) + std::string(rest);
}

struct Columns {
  std::string hash;
  std::string parents;
};

std::map<uint32_t, Columns> read_columns(Executor &source, std::span<const uint32_t> relations,
                                         std::span<const uint32_t> parents) {
  const Rows rows = source.exec(with_types(kColumns), {oid_array(relations), oid_array(parents)});
  std::map<uint32_t, Columns> columns;
  for (size_t row = 0; row < rows.size(); ++row)
    columns.emplace(rows.oid(row, 0), Columns{rows.text(row, 1), rows.text(row, 2)});
  return columns;
}

} // namespace

void leave_no_lock(Executor &source, const std::function<void()> &look) {
  source.exec("SAVEPOINT parallel_loader_look");
  look();
  source.exec("ROLLBACK TO SAVEPOINT parallel_loader_look");
  source.exec("RELEASE SAVEPOINT parallel_loader_look");
}

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
                     .name = std::to_string(rows.oid(row, 0)),
                     .place = rows.text(row, 4),
                     .type = rows.text(row, 1),
                     .words = rows.text(row, 2)});
  }
  return shape;
}

void require_partitions_as_snapshot(Executor &source, std::span<const uint32_t> tables) {
  const Rows changed = exec_for(source, kChangedPartitions, tables);
  if (changed.empty())
    return;
  const bool is_gone = changed.boolean(0, 2);
  throw SourceChanged("partition " + first_name(changed) + " of the source was " +
                          (is_gone ? "detached" : "attached") + " after the snapshot was taken",
                      is_gone ? "The snapshot shows its rows, but the table no longer has them."
                              : "The table has its rows now, but the snapshot does not show them.",
                      kSnapshotOfNow);
}

void add_content(Executor &source, Shape &locked) {
  const std::vector<uint32_t> oids = oids_of(locked);
  std::map<uint32_t, Columns> columns = read_columns(source, oids, {});
  for (ShapeLine &line : locked)
    line.place += ":" + columns[oid_of(line)].hash;
  const Rows labels = exec_for(source, with_types(kLabels), oids);
  for (size_t row = 0; row < labels.size(); ++row)
    locked.push_back({.part = ShapePart::kMemberLabels,
                      .name = labels.text(row, 0),
                      .place = labels.text(row, 0),
                      .type = labels.text(row, 2),
                      .words = labels.text(row, 1)});
}

std::vector<ExpectedRelation> find_written_columns(Executor &source, const Shape &locked) {
  std::vector<ExpectedRelation> written;
  const Rows rows = exec_for(source, with_types(kAltered), oids_of(locked));
  for (size_t row = 0; row < rows.size(); ++row) {
    const QualifiedName name{rows.text(row, 1), rows.text(row, 2)};
    if (rows.text(row, 0) != "columns")
      throw_found(rows.text(row, 0), name, rows.text(row, 4));
    written.push_back({rows.oid(row, 3), name});
  }
  return written;
}

void require_columns_as_snapshot(Executor &source, Executor &now, const Shape &locked,
                                 std::span<const ExpectedRelation> written) {
  const std::vector<uint32_t> parents = oids_of(locked);
  std::vector<uint32_t> oids;
  for (const ExpectedRelation &relation : written)
    oids.push_back(relation.oid);
  const std::map<uint32_t, Columns> before = read_columns(source, oids, parents);
  std::map<uint32_t, Columns> after = read_columns(now, oids, parents);
  for (const ExpectedRelation &relation : written) {
    const auto known = before.find(relation.oid);
    if (known == before.end())
      continue;
    if (known->second.hash != after[relation.oid].hash)
      throw_altered(
          relation.name, "altered",
          "Its columns, or fields of their types, are not those that the snapshot shows.");
    if (known->second.parents != after[relation.oid].parents)
      throw_altered(relation.name, "attached to a parent, or detached from one,",
                    "Parents have other rows now than the snapshot shows.");
  }
}

std::optional<QualifiedName> find_leaf(Executor &source, uint32_t table) {
  const Rows rows = source.exec(
      std::string(kTree) + " SELECT n.nspname, c.relname FROM tree AS t"
                           " JOIN pg_catalog.pg_class AS c ON c.oid = t.oid AND c.relkind = 'r'"
                           " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                           " ORDER BY t.oid LIMIT 1",
      {Param(std::to_string(table))});
  return rows.empty() ? std::nullopt
                      : std::optional(QualifiedName{rows.text(0, 0), rows.text(0, 1)});
}

bool has_locked_tree(Executor &source, uint32_t table) {
  const Rows row = source.exec(
      std::string(kTree) +
          " SELECT EXISTS (SELECT FROM tree AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid"
          " JOIN pg_catalog.pg_locks AS l ON l.relation = t.oid"
          " WHERE c.relkind = 'p' AND l.locktype = 'relation' AND l.granted"
          " AND l.pid = pg_catalog.pg_backend_pid() AND l.database = (SELECT d.oid"
          " FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))",
      {Param(std::to_string(table))});
  return row.boolean(0, 0);
}

Shape partition_tree(Executor &source, uint32_t oid) {
  const Rows rows = source.exec(
      "SELECT p.relid::pg_catalog.oid::pg_catalog.int8, p.relid::pg_catalog.text"
      " FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) AS p",
      {Param(std::to_string(oid))});
  Shape shape;
  for (size_t row = 0; row < rows.size(); ++row)
    shape.push_back({.part = ShapePart::kRelation,
                     .name = std::to_string(rows.oid(row, 0)),
                     .place = {},
                     .type = {},
                     .words = rows.text(row, 1)});
  return shape;
}

Shape look_at_partition_tree(Executor &source, uint32_t oid) {
  Shape tree;
  leave_no_lock(source, [&] { tree = partition_tree(source, oid); });
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

const ShapeLine *find_namesake(const Shape &planned, const Shape &locked,
                               const std::set<uint32_t> &own) {
  const auto name_of = [](const ShapeLine &line) { return parse_qualified_name(line.words).name; };
  std::set<std::string> names;
  for (const ShapeLine &line : planned)
    if (line.part == ShapePart::kFilterRelation)
      names.insert(name_of(line));
  const auto is_namesake = [&](const ShapeLine &line) {
    const bool is_known =
        own.contains(oid_of(line)) || std::ranges::any_of(planned, [&](const ShapeLine &known) {
          return (known.part == ShapePart::kFilterRelation || known.part == ShapePart::kRelation) &&
                 known.name == line.name;
        });
    return !is_known && names.contains(name_of(line));
  };
  const auto found = std::ranges::find_if(locked, is_namesake);
  return found == locked.end() ? nullptr : &*found;
}

void require_no_namesake(int64_t pull_id, const Shape &planned, const Shape &locked,
                         const std::set<uint32_t> &own, const std::string &hint) {
  const ShapeLine *const other = find_namesake(planned, locked, own);
  if (other != nullptr)
    throw other_filter(
        pull_id,
        {.part = ShapePart::kFilterRelation, .name = {}, .before = {}, .after = other->words},
        hint);
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
