#include "orchestrator/run/destination_tables.hpp"

#include "orchestrator/base/text.hpp"

#include <fmt/format.h>

namespace parallel_loader {

namespace {

constexpr std::string_view kDescribe = R"sql(
SELECT w.number, n.nspname, c.relname, c.relkind IN ('r', 'p'), c.relkind = 'p'
FROM pg_catalog.unnest($1::oid[]) WITH ORDINALITY AS w(oid, number)
JOIN pg_catalog.pg_class AS c ON c.oid = w.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace)sql";

// Those with a file that is not empty may have rows; all others have none.
constexpr std::string_view kWithBlocks = R"sql(
SELECT w.number,
  pg_catalog.has_table_privilege(c.oid, 'SELECT')
    OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
FROM pg_catalog.unnest($1::oid[]) WITH ORDINALITY AS w(oid, number)
JOIN pg_catalog.pg_class AS c ON c.oid = w.oid
WHERE CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_relation_size(c.oid::regclass) > 0
           ELSE EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid::regclass) AS t
                        WHERE t.isleaf AND pg_catalog.pg_relation_size(t.relid) > 0) END)sql";

// Of a table, its partitions and what it is a partition of: rows of one are rows of the other.
constexpr std::string_view kOtherLoader = R"sql(
SELECT o.pull_id
FROM {0}.parallel_pulls AS p
CROSS JOIN LATERAL (
  SELECT p."table"::oid
  UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_tree(p."table")
  UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_ancestors(p."table")) AS r(oid)
JOIN {0}.parallel_pull_loads AS o ON o."table"::oid = r.oid AND o.pull_id <> p.pull_id
WHERE p.pull_id = $1::bigint AND (o.is_loading OR o.last_chunk > p.started)
LIMIT 1)sql";

constexpr std::string_view kLaterLoaders = R"sql(
SELECT p.pull_id, pg_catalog.max(o.pull_id)
FROM {0}.parallel_pulls AS p
CROSS JOIN LATERAL (
  SELECT p."table"::oid
  UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_tree(p."table")
  UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_ancestors(p."table")) AS r(oid)
JOIN {0}.parallel_pull_loads AS o ON o."table"::oid = r.oid AND o.run_id <> p.run_id
WHERE p.pull_id = ANY ($1::bigint[]) AND o.last_chunk IS NOT NULL
  AND o.started >= coalesce(p.finished, p.started) AND (p.chunks_done = 0 OR o.began_empty)
GROUP BY p.pull_id)sql";

constexpr std::string_view kLaterOnEmpty = R"sql(
SELECT p.pull_id, pg_catalog.max(o.pull_id)
FROM {0}.parallel_pull_loads AS p
JOIN {0}.parallel_pull_loads AS o ON o."table"::oid = p."table"::oid AND o.pull_id > p.pull_id
WHERE p.pull_id = ANY ($1::bigint[]) AND o.began_empty AND o.started >= p.finished
GROUP BY p.pull_id)sql";

constexpr std::string_view kLoaders = R"sql(
SELECT w.number, p.pull_id
FROM {0}.parallel_pull_loads AS p
CROSS JOIN LATERAL (
  SELECT p."table"::oid
  UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_tree(p."table")
  UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_ancestors(p."table")) AS r(oid)
JOIN pg_catalog.unnest($1::oid[]) WITH ORDINALITY AS w(oid, number) ON w.oid = r.oid
WHERE p.is_loading
  OR p.last_chunk IS NOT NULL AND coalesce(p.finished, p.last_chunk) > $2::timestamptz)sql";

constexpr std::string_view kForeignKeys = R"sql(
SELECT n.nspname, c.relname,
  k.conname, fn.nspname, f.relname
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS f ON f.oid = k.confrelid
JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY ($1::oid[])
ORDER BY n.nspname, c.relname, k.conname)sql";

constexpr std::string_view kNotTruncatable = R"sql(
SELECT c.relname FROM pg_catalog.pg_class AS c
WHERE c.oid = ANY ($1::oid[]) AND NOT pg_catalog.has_table_privilege(c.oid, 'TRUNCATE')
ORDER BY c.relname LIMIT 1)sql";

// Of tables that are neither among them nor partitions of one of them.
constexpr std::string_view kForeignReferences = R"sql(
WITH emptied AS (
  SELECT w.oid FROM pg_catalog.unnest($1::oid[]) AS w(oid)
  UNION
  SELECT t.relid::oid FROM pg_catalog.unnest($1::oid[]) AS w(oid)
    CROSS JOIN LATERAL pg_catalog.pg_partition_tree(w.oid::regclass) AS t)
SELECT c.relname, f.relname
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_class AS f ON f.oid = k.confrelid
WHERE k.contype = 'f' AND k.confrelid IN (SELECT oid FROM emptied)
  AND k.conrelid NOT IN (SELECT oid FROM emptied)
ORDER BY c.relname, f.relname LIMIT 1)sql";

constexpr std::string_view kTriggers = R"sql(
SELECT DISTINCT n.nspname, c.relname
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
-- 4: for INSERT.
WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype::integer & 4 <> 0
  AND t.tgrelid = ANY ($1::oid[])
ORDER BY n.nspname, c.relname)sql";

constexpr std::string_view kIndexes = R"sql(
SELECT n.nspname, c.relname
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT i.indisunique AND NOT i.indisexclusion AND i.indrelid = ANY ($1::oid[])
GROUP BY n.nspname, c.relname
ORDER BY n.nspname, c.relname)sql";

constexpr std::string_view kWithSequences = R"sql(
SELECT DISTINCT n.nspname, c.relname
FROM pg_catalog.unnest($1::text[]) AS w(name)
JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(w.name)
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE EXISTS (SELECT FROM pg_catalog.pg_depend AS d
              JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
              WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                AND d.refobjid = c.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))
   OR EXISTS (SELECT FROM pg_catalog.pg_attrdef AS a
              JOIN pg_catalog.pg_depend AS d
                ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
              JOIN pg_catalog.pg_class AS s ON s.oid = d.refobjid AND s.relkind = 'S'
              WHERE a.adrelid = c.oid AND d.refclassid = 'pg_class'::regclass)
ORDER BY n.nspname, c.relname)sql";

/// The rows that a pull of the table may write: tables that inherit from it have their own.
std::string own_rows_of(const DestinationTable &table) {
  return (table.is_partitioned ? "" : "ONLY ") + table.name.quoted();
}

template <class Number> std::string array_of(std::span<const Number> numbers) {
  return fmt::format("{{{}}}", fmt::join(numbers, ","));
}

std::string oid_array(std::span<const DestinationTable> tables) {
  std::string text = "{";
  for (const DestinationTable &table : tables)
    text += (text.size() > 1 ? "," : "") + std::to_string(table.oid);
  return text + "}";
}

size_t index_of(const Rows &rows, size_t row, size_t count) {
  return static_cast<size_t>(rows.required_integer(row, 0, 1, static_cast<int64_t>(count)) - 1);
}

/// `a, b, c, and 4 more`.
std::string some_of(const Rows &rows) {
  constexpr size_t kShown = 5;
  std::string text;
  for (size_t row = 0; row < rows.size() && row < kShown; ++row)
    text += (row > 0 ? ", " : "") +
            printable(QualifiedName{rows.text(row, 0), rows.text(row, 1)}.display());
  if (rows.size() > kShown)
    text += fmt::format(", and {} more", rows.size() - kShown);
  return text;
}

std::string foreign_keys_text(const Rows &rows) {
  constexpr size_t kShown = 5;
  std::string text;
  for (size_t row = 0; row < rows.size() && row < kShown; ++row)
    text += fmt::format("{}{} of {} to {}", row > 0 ? ", " : "", printable(rows.text(row, 2)),
                        printable(QualifiedName{rows.text(row, 0), rows.text(row, 1)}.display()),
                        printable(QualifiedName{rows.text(row, 3), rows.text(row, 4)}.display()));
  if (rows.size() > kShown)
    text += fmt::format(", and {} more", rows.size() - kShown);
  return text;
}

/// Of those for which the role lacks the privilege; empty: it has it for all.
std::string grant_text(Destination &destination, const std::string &privilege,
                       std::span<const DestinationTable> tables) {
  const Rows rows = destination.query(
      "SELECT pg_catalog.string_agg(w.oid::regclass::text, ', ' ORDER BY w.number), "
      "pg_catalog.quote_ident(current_user::text) "
      "FROM pg_catalog.unnest($1::oid[]) WITH ORDINALITY AS w(oid, number) "
      "WHERE NOT pg_catalog.has_table_privilege(w.oid, $2)",
      {oid_array(tables), privilege});
  return rows.is_null(0, 0) ? ""
                            : fmt::format("Run on the destination: GRANT {} ON {} TO {};",
                                          privilege, rows.text(0, 0), rows.text(0, 1));
}

/// What the server says of a TRUNCATE has its SQLSTATE and names no way out.
Error truncate_error(Destination &destination, std::span<const DestinationTable> tables,
                     const Error &error) {
  if (error.sqlstate() == sqlstate::kFeatureNotSupported)
    return {error.sqlstate(), error.message(), error.detail(),
            "Load the table that refers to it by the same command, or drop the foreign key and "
            "create it again after the load."};
  if (error.sqlstate() == sqlstate::kInsufficientPrivilege)
    return {error.sqlstate(), error.message(), error.detail(),
            grant_text(destination, "TRUNCATE", tables)};
  return error;
}

/// The server's error names the schema, and not its side.
Error schema_error(Destination &destination, const Error &error, const QualifiedName &name) {
  const std::string role =
      destination.query("SELECT pg_catalog.quote_ident(current_user::text)").text(0, 0);
  return {error.sqlstate(), error.message(), error.detail(),
          fmt::format("Run on the destination: GRANT USAGE ON SCHEMA {} TO {};",
                      quote_identifier(name.schema), role)};
}

std::vector<DestinationTable> look_up_together(Destination &destination,
                                               std::span<const QualifiedName> names) {
  std::vector<std::string> quoted;
  for (const QualifiedName &name : names)
    quoted.push_back(name.quoted());
  // Found along the user's search path, described under ours.
  const Rows found = destination.call(
      "SELECT coalesce(pg_catalog.to_regclass(w.name)::pg_catalog.oid, 0::pg_catalog.oid) "
      "FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY AS w(name, number) "
      "ORDER BY w.number",
      {array_literal(quoted)});
  found.require_size(names.size());
  std::vector<DestinationTable> tables;
  for (size_t row = 0; row < found.size(); ++row)
    tables.push_back(
        {.oid = static_cast<uint32_t>(found.integer(row, 0)), .name = names[row], .error = {}});
  return tables;
}

/// One name that must not be looked up, as its schema may not be used, leaves the others alone.
std::vector<DestinationTable> look_up(Destination &destination,
                                      std::span<const QualifiedName> names) {
  try {
    return look_up_together(destination, names);
  } catch (const Error &error) {
    if (error.sqlstate() != sqlstate::kInsufficientPrivilege)
      throw;
    if (names.size() == 1)
      return {{.oid = 0,
               .name = names.front(),
               .error = schema_error(destination, error, names.front())}};
  }
  std::vector<DestinationTable> tables;
  for (const QualifiedName &name : names)
    tables.push_back(look_up(destination, {&name, 1}).front());
  return tables;
}

/// Of pairs of pulls.
std::map<int64_t, int64_t> by_pull(Destination &destination, std::string_view sql,
                                   std::span<const int64_t> pull_ids) {
  const Rows rows =
      destination.query(fmt::format(fmt::runtime(sql), destination.schema()), {array_of(pull_ids)});
  std::map<int64_t, int64_t> others;
  for (size_t row = 0; row < rows.size(); ++row)
    others[rows.integer(row, 0)] = rows.integer(row, 1);
  return others;
}

void note_loaders(const Rows &loaders, std::span<DestinationTable> tables) {
  for (size_t row = 0; row < loaders.size(); ++row)
    tables[index_of(loaders, row, tables.size())].loader = loaders.integer(row, 1);
}

} // namespace

std::vector<DestinationTable> find_tables(Destination &destination,
                                          std::span<const QualifiedName> names) {
  std::vector<DestinationTable> tables = look_up(destination, names);
  const Rows described = destination.query(std::string(kDescribe), {oid_array(tables)});
  std::vector<bool> is_described(tables.size());
  for (size_t row = 0; row < described.size(); ++row) {
    const size_t index = index_of(described, row, tables.size());
    is_described[index] = true;
    tables[index].name = {described.text(row, 1), described.text(row, 2)};
    tables[index].is_table = described.boolean(row, 3);
    tables[index].is_partitioned = described.boolean(row, 4);
  }
  for (size_t index = 0; index < tables.size(); ++index)
    if (!is_described[index]) // dropped in between
      tables[index].oid = 0;
  return tables;
}

void find_rows(Destination &destination, std::span<DestinationTable> tables) {
  const Rows rows = destination.query(std::string(kWithBlocks), {oid_array(tables)});
  for (size_t row = 0; row < rows.size(); ++row) {
    DestinationTable &table = tables[index_of(rows, row, tables.size())];
    table.may_have_rows = !rows.boolean(row, 1);
    table.has_rows =
        !table.may_have_rows &&
        destination.query("SELECT EXISTS (SELECT FROM " + own_rows_of(table) + ")").boolean(0, 0);
  }
}

Error unseen_rows_error(Destination &destination, const DestinationTable &table) {
  return {sqlstate::kInsufficientPrivilege,
          fmt::format("table {} may have rows already, and the role lacks the right to look",
                      table.name.cited()),
          "", grant_text(destination, "SELECT", {&table, 1})};
}

void find_blocks(Destination &destination, std::span<DestinationTable> tables) {
  for (DestinationTable &table : tables)
    table.has_blocks = false;
  const Rows rows = destination.query(std::string(kWithBlocks), {oid_array(tables)});
  for (size_t row = 0; row < rows.size(); ++row)
    tables[index_of(rows, row, tables.size())].has_blocks = true;
}

void find_loaders(Destination &destination, std::span<DestinationTable> tables) {
  note_loaders(destination.query(fmt::format(kLoaders, destination.schema()),
                                 {oid_array(tables), "infinity"}),
               tables);
}

std::string time_of(Destination &destination) {
  return destination.query("SELECT pg_catalog.clock_timestamp()").text(0, 0);
}

void require_truncatable(Destination &destination, std::span<const DestinationTable> tables) {
  const std::string oids = oid_array(tables);
  const Rows refused = destination.query(std::string(kNotTruncatable), {oids});
  if (!refused.empty())
    throw truncate_error(destination, tables,
                         Error(sqlstate::kInsufficientPrivilege,
                               "permission denied for table " + refused.text(0, 0)));
  const Rows references = destination.query(std::string(kForeignReferences), {oids});
  if (!references.empty())
    throw truncate_error(destination, tables,
                         Error(sqlstate::kFeatureNotSupported,
                               "cannot truncate a table referenced in a foreign key constraint",
                               fmt::format("Table \"{}\" references \"{}\".", references.text(0, 0),
                                           references.text(0, 1))));
}

bool truncate_tables(Destination &destination, std::span<DestinationTable> tables,
                     const std::string &looked_at) {
  std::string list;
  std::vector<uint32_t> oids;
  for (const DestinationTable &table : tables) {
    list += (list.empty() ? "" : ", ") + own_rows_of(table);
    oids.push_back(table.oid);
  }
  const Param params[] = {oid_array(tables), looked_at};
  try {
    const Rows loaders = destination.call_unless(fmt::format(kLoaders, destination.schema()),
                                                 params, "TRUNCATE TABLE " + list, oids);
    note_loaders(loaders, tables);
    return loaders.empty();
  } catch (const Error &error) {
    throw truncate_error(destination, tables, error);
  }
}

int64_t find_other_loader(Destination &destination, int64_t pull_id) {
  const Rows rows =
      destination.query(fmt::format(kOtherLoader, destination.schema()), {std::to_string(pull_id)});
  return rows.empty() ? 0 : rows.integer(0, 0);
}

std::vector<int64_t> find_other_pulls(Destination &destination, std::span<const uint32_t> tables,
                                      std::span<const int64_t> known) {
  const Rows rows = destination.query(
      fmt::format("SELECT p.pull_id FROM {}.parallel_pulls AS p "
                  "WHERE p.\"table\"::oid = ANY ($1::oid[]) AND p.pull_id <> ALL ($2::bigint[]) "
                  "ORDER BY p.pull_id",
                  destination.schema()),
      {array_of(tables), array_of(known)});
  std::vector<int64_t> ids;
  for (size_t row = 0; row < rows.size(); ++row)
    ids.push_back(rows.integer(row, 0));
  return ids;
}

std::map<int64_t, int64_t> find_loaders_since(Destination &destination,
                                              std::span<const int64_t> pull_ids) {
  return by_pull(destination, kLaterLoaders, pull_ids);
}

std::map<int64_t, int64_t> find_later_on_empty(Destination &destination,
                                               std::span<const int64_t> pull_ids) {
  return by_pull(destination, kLaterOnEmpty, pull_ids);
}

std::vector<QualifiedName> tables_with_sequences(Destination &destination,
                                                 std::span<const QualifiedName> names) {
  std::vector<std::string> quoted;
  for (const QualifiedName &name : names)
    quoted.push_back(name.quoted());
  const Rows rows = destination.query(std::string(kWithSequences), {array_literal(quoted)});
  std::vector<QualifiedName> tables;
  for (size_t row = 0; row < rows.size(); ++row)
    tables.push_back({rows.text(row, 0), rows.text(row, 1)});
  return tables;
}

std::vector<Error> find_obstacles(Destination &destination,
                                  std::span<const DestinationTable> tables) {
  const std::string oids = oid_array(tables);
  std::vector<Error> warnings;
  if (const Rows keys = destination.query(std::string(kForeignKeys), {oids}); !keys.empty())
    warnings.emplace_back(
        "01000",
        "foreign keys are checked while rows are loaded, and refuse rows that come before those "
        "they refer to: " +
            foreign_keys_text(keys),
        "",
        "Create them after the load, as pg_restore --section=post-data does, or resume what has "
        "failed once the tables that it refers to are loaded.");
  if (const Rows triggers = destination.query(std::string(kTriggers), {oids}); !triggers.empty())
    warnings.emplace_back("01000", "triggers fire for each row of: " + some_of(triggers));
  if (const Rows indexes = destination.query(std::string(kIndexes), {oids}); !indexes.empty())
    warnings.emplace_back("01000", "indexes that are not unique are faster to create after the "
                                   "load than to fill during it: those of " +
                                       some_of(indexes));
  return warnings;
}

} // namespace parallel_loader
