#include "core/source/sequence.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

// One statement a sequence would cost a round trip each; one for all could grow without limit.
constexpr size_t kBatch = 200;

// Deptype a is OWNED BY and serial, i is IDENTITY.
constexpr std::string_view kOwner = R"sql(
LEFT JOIN pg_catalog.pg_depend AS d
  ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.oid AND d.objsubid = 0
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0
  AND d.deptype IN ('a', 'i')
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = d.refobjid
LEFT JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
)sql";

constexpr std::string_view kFindLocal = R"sql(
SELECT s.oid, sn.nspname, s.relname, cn.nspname, c.relname, a.attname,
  CASE WHEN s.relkind = 'S' THEN pg_catalog.has_sequence_privilege(s.oid, 'UPDATE') END,
  q.seqmin, q.seqmax, q.seqincrement < 0::pg_catalog.int8, current_user
FROM pg_catalog.pg_class AS s
JOIN pg_catalog.pg_namespace AS sn ON sn.oid = s.relnamespace
JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = s.oid)sql";

constexpr std::string_view kFindLocalWhere = R"sql(
WHERE CASE
  WHEN s.relkind <> 'S' THEN false
  WHEN $1::pg_catalog.oid IS NOT NULL THEN d.refobjid = $1::pg_catalog.oid
  ELSE s.relpersistence <> 't'
    AND sn.nspname NOT IN ('pg_catalog', 'information_schema')
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend AS e
      WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.deptype = 'e'
        AND e.objid IN (s.oid, c.oid))
  END
ORDER BY sn.nspname COLLATE pg_catalog."C", s.relname COLLATE pg_catalog."C")sql";

constexpr std::string_view kFindSource = R"sql(
SELECT w.position, sn.nspname, s.relname,
  CASE WHEN s.relkind = 'S' THEN pg_catalog.has_sequence_privilege(s.oid, 'SELECT') END,
  pg_catalog.has_schema_privilege(sn.oid, 'USAGE'), current_user,
  q.seqincrement < 0::pg_catalog.int8
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]),
    pg_catalog.unnest($3::pg_catalog.text[]))
  WITH ORDINALITY AS w(schema_name, table_name, column_name, position)
JOIN pg_catalog.pg_namespace AS cn ON cn.nspname::pg_catalog.text = w.schema_name
JOIN pg_catalog.pg_class AS c ON c.relnamespace = cn.oid
  AND c.relname::pg_catalog.text = w.table_name
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped
  AND a.attname::pg_catalog.text = w.column_name
JOIN pg_catalog.pg_depend AS d
  ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid
  AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
  AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0
JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_catalog.pg_namespace AS sn ON sn.oid = s.relnamespace
JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = s.oid
ORDER BY w.position, d.deptype DESC, s.oid)sql";

std::string states_statement(std::span<const QualifiedName> sequences) {
  std::string sql;
  for (const QualifiedName &sequence : sequences)
    sql += (sql.empty() ? "SELECT last_value, is_called FROM "
                        : " UNION ALL SELECT last_value, is_called FROM ") +
           sequence.quoted();
  return sql;
}

} // namespace

std::vector<LocalSequence> find_local_sequences(Executor &server, std::optional<uint32_t> table) {
  const std::string sql =
      std::string(kFindLocal) + std::string(kOwner) + std::string(kFindLocalWhere);
  const Rows rows = server.exec(sql, {table ? Param(std::to_string(*table)) : Param(std::nullopt)});
  std::vector<LocalSequence> sequences;
  for (size_t row = 0; row < rows.size(); ++row) {
    LocalSequence sequence;
    sequence.oid = rows.oid(row, 0);
    sequence.name = {rows.text(row, 1), rows.text(row, 2)};
    if (!rows.is_null(row, 4))
      sequence.owner = {{rows.text(row, 3), rows.text(row, 4)}, rows.text(row, 5)};
    sequence.may_set = rows.boolean(row, 6);
    sequence.least = rows.required_integer(row, 7);
    sequence.most = rows.required_integer(row, 8);
    sequence.is_descending = rows.boolean(row, 9);
    sequence.user = rows.text(row, 10);
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

std::vector<std::optional<SourceSequence>>
find_source_sequences(Executor &source, std::span<const SequenceOwner> owners) {
  std::vector<std::string> schemas, tables, columns;
  for (const SequenceOwner &owner : owners) {
    schemas.push_back(owner.table.schema);
    tables.push_back(owner.table.name);
    columns.push_back(owner.column);
  }
  const Rows rows =
      source.exec(kFindSource, {Param(array_literal(schemas)), Param(array_literal(tables)),
                                Param(array_literal(columns))});
  std::vector<std::optional<SourceSequence>> sequences(owners.size());
  const auto count = static_cast<int64_t>(owners.size());
  for (size_t row = 0; row < rows.size(); ++row) {
    std::optional<SourceSequence> &found =
        sequences[static_cast<size_t>(rows.required_integer(row, 0, 1, count)) - 1];
    if (!found)
      found = {.name = {rows.required_text(row, 1), rows.required_text(row, 2)},
               .may_read = rows.required_boolean(row, 3),
               .may_use_schema = rows.required_boolean(row, 4),
               .user = rows.required_text(row, 5),
               .is_descending = rows.required_boolean(row, 6)};
  }
  return sequences;
}

std::string why_no_match(const LocalSequence &local, const std::optional<SourceSequence> &source) {
  if (!local.owner)
    return "No column owns it.";
  if (!source)
    return "Column \"" + local.owner->column + "\" of table " + local.owner->table.cited() +
           " has no sequence on the source.";
  if (source->is_descending != local.is_descending)
    return "Its values " + std::string(local.is_descending ? "descend" : "ascend") +
           ", those of sequence " + source->name.cited() + " of the source " +
           (source->is_descending ? "descend." : "ascend.");
  return {};
}

std::string why_out_of_bounds(const LocalSequence &local, const SequenceState &state) {
  if (state.last_value >= local.least && state.last_value <= local.most)
    return {};
  return "The source's value " + std::to_string(state.last_value) + " is not between " +
         std::to_string(local.least) + " and " + std::to_string(local.most) + ".";
}

// Beyond its upper bound an ascending sequence needs room for more, and perhaps a wider type.
std::string alter_bounds(const LocalSequence &local, const SequenceState &state) {
  const bool is_above = state.last_value > local.most;
  const std::string value = std::to_string(state.last_value);
  const std::string wide = is_above ? " AS bigint NO MAXVALUE;" : " AS bigint NO MINVALUE;";
  const std::string near = is_above ? " MAXVALUE " + value + ";" : " MINVALUE " + value + ";";
  return "ALTER SEQUENCE " + local.name.quoted() + (is_above != local.is_descending ? wide : near);
}

std::string grant_to_set(const LocalSequence &local) {
  return "GRANT UPDATE ON SEQUENCE " + local.name.quoted() + " TO " + quote_identifier(local.user) +
         ";";
}

std::string grant_to_read(const SourceSequence &source) {
  const std::string user = " TO " + quote_identifier(source.user) + ";";
  std::string text;
  if (!source.may_use_schema)
    text = "GRANT USAGE ON SCHEMA " + quote_identifier(source.name.schema) + user;
  if (!source.may_read)
    text += (text.empty() ? "" : " ") + ("GRANT SELECT ON SEQUENCE " + source.name.quoted() + user);
  return text;
}

std::vector<SequenceState> read_sequence_states(Executor &source,
                                                std::span<const QualifiedName> sequences) {
  std::vector<SequenceState> states;
  for (size_t begin = 0; begin < sequences.size(); begin += kBatch) {
    const size_t count = std::min(kBatch, sequences.size() - begin);
    // UNION ALL keeps the order of its parts.
    const Rows rows = source.exec(states_statement(sequences.subspan(begin, count)));
    rows.require_size(count);
    for (size_t row = 0; row < count; ++row)
      states.push_back({rows.required_integer(row, 0), rows.required_boolean(row, 1)});
  }
  return states;
}

void set_sequence(Executor &server, uint32_t sequence, const SequenceState &state) {
  server.exec("SELECT pg_catalog.setval($1::pg_catalog.oid::pg_catalog.regclass, "
              "$2::pg_catalog.int8, $3::pg_catalog.bool)",
              {Param(std::to_string(sequence)), Param(std::to_string(state.last_value)),
               Param(state.is_called ? "true" : "false")});
}

} // namespace parallel_loader
