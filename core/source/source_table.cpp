#include "core/source/source_table.hpp"

#include "core/base/error.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

// Foreign tables only declare NOT NULL, they do not enforce it; nor do those under a partitioned
// table.  pg_partition_tree serves only kind p, so everything that calls it is behind a CASE.
constexpr std::string_view kFindTable = R"sql(
SELECT c.oid, n.nspname, c.relname, c.relkind,
  c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = c.oid),
  CASE
    WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid::pg_catalog.regclass)
    WHEN c.relkind = 'p' THEN
      (SELECT pg_catalog.sum(pg_catalog.pg_table_size(p.relid))
       FROM pg_catalog.pg_partition_tree(c.oid::pg_catalog.regclass) AS p WHERE p.isleaf)
  END::bigint,
  CASE
    WHEN c.relkind = 'r' THEN true
    WHEN c.relkind = 'p' THEN
      NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid::pg_catalog.regclass) AS p
                  JOIN pg_catalog.pg_class AS l ON l.oid = p.relid WHERE l.relkind = 'f')
    ELSE false
  END
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY AS s(name, position)
  ON s.name = n.nspname::pg_catalog.text
WHERE c.relname = $2::pg_catalog.text
ORDER BY s.position LIMIT 1)sql"; // relname as it is, for its index

// From 18 a NOT NULL that was never checked against the rows also sets attnotnull.
constexpr std::string_view kFindColumns = R"sql(
SELECT a.attname, a.atttypid,
  a.attnotnull AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint AS k
    WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
      AND a.attnum = ANY (k.conkey)),
  ln.nspname, l.collname, a.attnum
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace
WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum)sql";

// A deferrable primary key still is one: its rows are unique in any snapshot of committed rows.
constexpr std::string_view kFindKeys = R"sql(
SELECT a.attname
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = $1::pg_catalog.oid AND i.indisvalid AND i.indisready AND i.indpred IS NULL
  AND i.indnkeyatts = 1 AND i.indisunique AND (i.indisprimary OR i.indimmediate)
ORDER BY i.indisprimary DESC, a.attnum, i.indexrelid)sql";

constexpr std::string_view kFindRowKeys = R"sql(
SELECT i.indexrelid, a.attname
FROM pg_catalog.pg_index AS i
CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[])
  WITH ORDINALITY AS k(attnum, position)
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1::pg_catalog.oid AND i.indisvalid AND i.indisready AND i.indisunique
  AND i.indpred IS NULL AND k.position <= i.indnkeyatts
ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid, k.position)sql";

constexpr std::string_view kHasIndex = R"sql(
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = $1::pg_catalog.oid AND i.indisvalid AND i.indisready AND i.indpred IS NULL
    AND a.attname::pg_catalog.text = $2::pg_catalog.text))sql";

// Names without quotes are folded to lower case, so this is how one with capitals is missed.
constexpr std::string_view kFindAlike = R"sql(
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE pg_catalog.lower(c.relname::pg_catalog.text) = pg_catalog.lower($2::pg_catalog.text)
  AND pg_catalog.lower(n.nspname::pg_catalog.text) IN (
    SELECT pg_catalog.lower(s.name) FROM pg_catalog.unnest($1::pg_catalog.text[]) AS s(name))
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY n.nspname, c.relname LIMIT 1)sql";

[[noreturn]] void throw_not_found(Executor &source, const QualifiedName &name,
                                  std::span<const std::string> schemas) {
  const std::string message = "relation " + name.cited() + " does not exist on the source";
  const Rows alike = source.exec(kFindAlike, {Param(array_literal(schemas)), Param(name.name)});
  if (alike.empty())
    throw Error(sqlstate::kUndefinedTable, message, {},
                "Give the table's name on the source in source_table, with its schema if that is "
                "not in the search path of the source's role.");
  const std::string found = QualifiedName{alike.text(0, 0), alike.text(0, 1)}.display();
  throw Error(sqlstate::kUndefinedTable, message, "The source has " + found + ".",
              "Write it with its quotes: source_table => " + quote_literal(found) + ".");
}

std::string kind_name(char kind) {
  switch (kind) {
  case 'S':
    return "sequence";
  case 'i':
  case 'I':
    return "index";
  case 'c':
    return "composite type";
  case 't':
    return "TOAST table";
  default:
    return "non-table relation";
  }
}

} // namespace

const SourceColumn *SourceTable::find_column(std::string_view column) const noexcept {
  const auto found = std::ranges::find(columns, column, &SourceColumn::name);
  return found == columns.end() ? nullptr : &*found;
}

std::string SourceTable::from_item() const {
  return (kind == 'r' ? "ONLY " : "") + name.quoted();
}

std::string SourceTable::probe_item() const {
  return (kind == 'p' ? "ONLY " : "") + from_item();
}

SourceTable SourceTable::find(Executor &source, const QualifiedName &name,
                              std::span<const std::string> search_path) {
  const std::span<const std::string> schemas =
      name.schema.empty() ? search_path : std::span<const std::string>(&name.schema, 1);
  const Rows found = source.exec(kFindTable, {Param(array_literal(schemas)), Param(name.name)});
  if (found.empty())
    throw_not_found(source, name, schemas);

  SourceTable table;
  table.oid = found.oid(0, 0);
  table.name = {found.required_text(0, 1), found.required_text(0, 2)};
  table.kind = found.required_text(0, 3).front();
  if (std::string_view("rpvmf").find(table.kind) == std::string_view::npos)
    throw Error(sqlstate::kWrongObjectType, "cannot copy from " + kind_name(table.kind) + " " +
                                                table.name.cited() + " of the source");
  table.has_children = found.boolean(0, 4);
  table.bytes = std::max<int64_t>(found.integer(0, 5), 0);
  const bool enforces_not_null = found.boolean(0, 6);

  const Rows columns = source.exec(kFindColumns, {Param(std::to_string(table.oid))});
  for (size_t row = 0; row < columns.size(); ++row) {
    const QualifiedName collation{columns.text(row, 3), columns.text(row, 4)};
    if (table.find_column(columns.required_text(row, 0)) != nullptr)
      throw Error(sqlstate::kProtocolViolation,
                  "source names column \"" + columns.text(row, 0) + "\" twice");
    table.columns.push_back({.name = columns.text(row, 0),
                             .type = columns.oid(row, 1),
                             .is_not_null = enforces_not_null && columns.boolean(row, 2),
                             .collation = collation.name.empty() ? "" : collation.quoted(),
                             .number = static_cast<int>(columns.integer(row, 5))});
  }
  return table;
}

std::optional<std::string> find_default_key(Executor &source, const SourceTable &table) {
  const Rows keys = source.exec(kFindKeys, {Param(std::to_string(table.oid))});
  for (size_t row = 0; row < keys.size(); ++row) {
    const SourceColumn *column = table.find_column(keys.text(row, 0));
    if (column != nullptr && column->is_not_null)
      return column->name;
  }
  return std::nullopt;
}

std::vector<std::vector<std::string>> find_row_keys(Executor &source, const SourceTable &table) {
  std::vector<std::vector<std::string>> keys;
  const Rows rows = source.exec(kFindRowKeys, {Param(std::to_string(table.oid))});
  for (size_t row = 0; row < rows.size(); ++row) {
    if (row == 0 || rows.text(row, 0) != rows.text(row - 1, 0))
      keys.emplace_back();
    keys.back().push_back(rows.text(row, 1)); // empty for an expression: no column's name
  }
  std::erase_if(keys, [&](const std::vector<std::string> &names) {
    return !std::ranges::all_of(names, [&](const std::string &name) {
      const SourceColumn *column = table.find_column(name);
      return column != nullptr && column->is_not_null;
    });
  });
  return keys;
}

bool has_index_on(Executor &source, const SourceTable &table, std::string_view column) {
  return source.exec(kHasIndex, {Param(std::to_string(table.oid)), Param(std::string(column))})
      .boolean(0, 0);
}

} // namespace parallel_loader
