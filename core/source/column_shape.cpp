#include "core/source/column_shape.hpp"

#include "core/base/error.hpp"
#include "core/source/type_parts.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr size_t kPartCount = 5;
constexpr std::string_view kMarker = "parallel_loader_fields";

void append_escaped(std::string &text, std::string_view part) {
  for (const char c : part)
    if (c == '\\')
      text += "\\\\";
    else if (c == '\t')
      text += "\\t";
    else if (c == '\n')
      text += "\\n";
    else
      text += c;
}

std::string unescaped(std::string_view part) {
  std::string text;
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] != '\\' || i + 1 == part.size()) {
      text += part[i];
      continue;
    }
    const char next = part[++i];
    text += next == 't' ? '\t' : next == 'n' ? '\n' : next;
  }
  return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos)
      return parts;
    begin = end + 1;
  }
}

std::string type_text(TypeOid type, int typmod) {
  return std::to_string(type) + (typmod >= 0 ? "/" + std::to_string(typmod) : "");
}

Shape lines_of(const Shape &shape, std::string_view parts) {
  Shape lines;
  std::ranges::copy_if(shape, std::back_inserter(lines), [&](const ShapeLine &line) {
    return parts.find(static_cast<char>(line.part)) != std::string_view::npos;
  });
  return lines;
}

// Fields go by their place, all else by its name.
const ShapeLine *find_line(const Shape &shape, const ShapeLine &wanted) {
  const auto found = std::ranges::find_if(shape, [&](const ShapeLine &line) {
    return line.part == wanted.part && line.name == wanted.name &&
           (line.part != ShapePart::kField || line.place == wanted.place);
  });
  return found == shape.end() ? nullptr : &*found;
}

ShapeChange change_of(const ShapeLine &line, const std::string &before, const std::string &after) {
  const std::string field = line.part == ShapePart::kField ? "field " + line.place + " " : "";
  return {.part = line.part,
          .name = line.name,
          .before = before.empty() ? before : field + before,
          .after = after.empty() ? after : field + after};
}

} // namespace

std::string write_shape(const Shape &shape) {
  std::string text;
  for (const ShapeLine &line : shape) {
    if (!text.empty())
      text += '\n';
    text += static_cast<char>(line.part);
    for (const std::string *part : {&line.name, &line.place, &line.type, &line.words}) {
      text += '\t';
      append_escaped(text, *part);
    }
  }
  return text;
}

Shape read_shape(std::string_view text) {
  Shape shape;
  if (text.empty())
    return shape;
  for (const std::string &line : split(text, '\n')) {
    const std::vector<std::string> parts = split(line, '\t');
    if (parts.size() != kPartCount || parts[0].size() != 1)
      throw Error(sqlstate::kInternalError, "shape of a pull in the ledger cannot be read");
    shape.push_back({static_cast<ShapePart>(parts[0].front()), unescaped(parts[1]),
                     unescaped(parts[2]), unescaped(parts[3]), unescaped(parts[4])});
  }
  return shape;
}

std::string ShapeChange::sentence() const {
  if (part == ShapePart::kExtension)
    return "Extension \"" + name + "\", which its type belongs to, had version " +
           (before.empty() ? "none" : before) + ", now it has " + (after.empty() ? "none" : after) +
           ".";
  if (part == ShapePart::kLabels)
    return "Labels of its enum have other names, or another order.";
  if (part == ShapePart::kRow)
    return "It has other columns, and the filter may read rows as a whole.";
  if (part == ShapePart::kMemberLabels)
    return "Labels of enum " + before + " have other names, or another order.";
  if (is_moved)
    return "It was dropped and added again.";
  if (after.empty())
    return "It had " + before + ", now there is none.";
  if (before.empty())
    return "It has " + after + " now, which it had not.";
  return "It had " + before + ", now it has " + after + ".";
}

Error other_filter(int64_t pull_id, const ShapeChange &change, std::string hint) {
  const std::string relation = change.before.empty() ? change.after : change.before;
  return {"55000",
          "the filter of pull " + std::to_string(pull_id) +
              " reads other tables than when the pull was planned",
          change.before.empty()  ? "New is " + relation + "."
          : change.after.empty() ? "Gone is " + relation + "."
                                 : "Altered or replaced is " + relation + ".",
          std::move(hint)};
}

std::optional<ShapeChange> find_shape_change(const Shape &planned, const Shape &now,
                                             std::string_view parts, PlaceRule places) {
  const Shape before = lines_of(planned, parts);
  const Shape after = lines_of(now, parts);
  for (const ShapeLine &line : before) {
    const ShapeLine *const found = find_line(after, line);
    if (found == nullptr)
      return change_of(line, line.words, {});
    if (found->type != line.type)
      return change_of(line, line.words, found->words);
    if (found->place != line.place && places == PlaceRule::kCompared) {
      ShapeChange change = change_of(line, line.words, found->words);
      change.is_moved = true;
      return change;
    }
  }
  for (const ShapeLine &line : after)
    if (find_line(before, line) == nullptr)
      return change_of(line, {}, line.words);
  // The same fields in another order.
  for (size_t i = 0; i < before.size(); ++i)
    if (before[i].part == ShapePart::kField && before[i].place != after[i].place)
      return change_of(before[i], before[i].words, after[i].words);
  return std::nullopt;
}

std::optional<ShapeChange> find_filter_change(const Shape &planned, const Shape &now) {
  Shape known = now;
  std::erase_if(known, [&](const ShapeLine &line) {
    return std::ranges::none_of(planned, [&](const ShapeLine &before) {
      return before.part == ShapePart::kFilterRelation && before.name == line.name;
    });
  });
  return find_shape_change(planned, known, "w", PlaceRule::kCompared);
}

std::optional<ShapeChange> find_member_change(const Shape &planned, const Shape &now) {
  Shape known = now;
  for (ShapeLine &line : known) {
    const ShapeLine *const before = find_line(planned, line);
    if (line.part == ShapePart::kRelation && before != nullptr &&
        before->place.find(':') == std::string::npos)
      line.place.resize(std::min(line.place.find(':'), line.place.size()));
  }
  return find_shape_change(planned, known, "r", PlaceRule::kCompared);
}

Shape local_shape(const DestinationTable &table, std::span<const std::string> columns) {
  Shape shape;
  for (const std::string &name : columns) {
    const auto column = std::ranges::find(table.columns, name, &DestinationColumn::name);
    if (column != table.columns.end())
      shape.push_back({.part = ShapePart::kColumn,
                       .name = name,
                       .place = std::to_string(column->number),
                       .type = column->content,
                       .words = "type " + column->type_name});
  }
  return shape;
}

SourceShape::SourceShape(const SourceTable &table, const Types &types,
                         std::vector<std::string> columns)
    : columns_(std::move(columns)) {
  TypeParts parts(types);
  for (const std::string &name : columns_)
    if (const SourceColumn *column = table.find_column(name); column != nullptr)
      parts.find(quote_identifier(name), column->type,
                 [&](const std::string &expression, const TypeInfo &type) {
                   if (type.kind == TypeKind::kComposite)
                     expansions_.push_back({name, "(" + expression + ")", type.oid});
                 });
}

std::string SourceShape::statement(std::string_view from_item) const {
  std::string list;
  for (const std::string &column : columns_)
    list += (list.empty() ? " " : ", ") + quote_identifier(column);
  // A column before each tells where one ends: fields may come and go.
  for (const Expansion &expansion : expansions_)
    list += ", 1 AS " + std::string(kMarker) + ", " + expansion.expression + ".*";
  return "SELECT" + list + " FROM " + std::string(from_item);
}

Shape SourceShape::lines(std::span<const DescribedColumn> described) const {
  if (described.size() < columns_.size() + expansions_.size())
    throw Error(sqlstate::kProtocolViolation, "source described another statement");
  Shape shape;
  for (size_t i = 0; i < columns_.size(); ++i)
    shape.push_back({.part = ShapePart::kColumn,
                     .name = columns_[i],
                     .place = std::to_string(described[i].number),
                     .type = type_text(described[i].type, described[i].typmod),
                     .words = {}});
  size_t expansion = 0;
  for (size_t i = columns_.size(); i < described.size(); ++i) {
    if (described[i].name == kMarker && expansion < expansions_.size()) {
      ++expansion;
      continue;
    }
    if (expansion == 0)
      throw Error(sqlstate::kProtocolViolation, "source described another statement");
    const Expansion &whole = expansions_[expansion - 1];
    shape.push_back({.part = ShapePart::kField,
                     .name = whole.column,
                     .place = whole.expression + "." + quote_identifier(described[i].name),
                     .type = type_text(described[i].type, described[i].typmod),
                     .words = {}});
  }
  return shape;
}

Shape SourceShape::snapshot_lines(const SourceTable &table, const Types &types) const {
  Shape shape;
  for (const std::string &name : columns_)
    if (const SourceColumn *column = table.find_column(name); column != nullptr)
      shape.push_back({.part = ShapePart::kColumn,
                       .name = name,
                       .place = std::to_string(column->number),
                       .type = type_text(types.base(column->type).oid, -1),
                       .words = {}});
  for (const Expansion &whole : expansions_)
    for (const CompositeField &field : types.get(whole.type).fields)
      shape.push_back({.part = ShapePart::kField,
                       .name = whole.column,
                       .place = whole.expression + "." + quote_identifier(field.name),
                       .type = type_text(types.base(field.type).oid, -1),
                       .words = {}});
  return shape;
}

Shape without_modifiers(Shape shape) {
  for (ShapeLine &line : shape) {
    line.type = line.type.substr(0, line.type.find('/'));
    line.words.clear();
  }
  return shape;
}

void describe_shape(Executor &server, Shape &shape) {
  std::vector<std::string> types, typmods;
  for (const ShapeLine &line : shape) {
    const bool has_type = line.part == ShapePart::kColumn || line.part == ShapePart::kField;
    const size_t slash = line.type.find('/');
    types.push_back(has_type ? line.type.substr(0, slash) : "0");
    typmods.push_back(has_type && slash != std::string::npos ? line.type.substr(slash + 1) : "-1");
  }
  const Rows rows = server.exec(
      "SELECT pg_catalog.format_type(t.type, t.typmod) FROM ROWS FROM ("
      "pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int4[]))"
      " WITH ORDINALITY AS t(type, typmod, number) ORDER BY t.number",
      {Param(array_literal(types)), Param(array_literal(typmods))});
  for (size_t i = 0; i < std::min(rows.size(), shape.size()); ++i)
    if (types[i] != "0")
      shape[i].words = "type " + rows.text(i, 0);
}

ShapeLine row_shape(const SourceTable &table) {
  std::string columns;
  for (const SourceColumn &column : table.columns)
    columns += std::to_string(column.number) + " " + std::to_string(column.type) + " " +
               quote_identifier(column.name) + ",";
  return {.part = ShapePart::kRow,
          .name = "row",
          .place = {},
          .type = std::move(columns),
          .words = std::to_string(table.columns.size()) + " columns"};
}

Shape key_shape(Executor &source, const SourceTable &table,
                std::span<const std::string> key_columns) {
  const Rows rows = source.exec(
      "SELECT a.attname, CASE WHEN l.oid IS NULL THEN '' ELSE l.oid::pg_catalog.text || ' '"
      " || coalesce(pg_catalog.pg_collation_actual_version(l.oid), '') END,"
      " coalesce(l.collname::pg_catalog.text, 'none'),"
      " coalesce(pg_catalog.pg_collation_actual_version(l.oid), 'none')"
      " FROM pg_catalog.pg_attribute AS a"
      " LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation"
      " WHERE a.attrelid = $1::pg_catalog.oid"
      " AND a.attname::pg_catalog.text = ANY ($2::pg_catalog.text[]) ORDER BY a.attnum",
      {Param(std::to_string(table.oid)), Param(array_literal(key_columns))});
  Shape shape;
  for (size_t row = 0; row < rows.size(); ++row) {
    const SourceColumn *const column = table.find_column(rows.text(row, 0));
    if (column == nullptr)
      continue;
    const std::string null_rule = column->is_not_null ? "NOT NULL" : "NULL";
    shape.push_back({.part = ShapePart::kKey,
                     .name = column->name,
                     .place = {},
                     .type = rows.text(row, 1) + " " + null_rule,
                     .words = "collation " + rows.text(row, 2) + " (version " + rows.text(row, 3) +
                              "), " + null_rule});
  }
  return shape;
}

Shape extension_shape(Executor &source, const SourceTable &table,
                      std::span<const std::string> columns, const Types &types) {
  std::vector<std::string> oids;
  TypeParts parts(types);
  for (const std::string &name : columns)
    if (const SourceColumn *column = table.find_column(name); column != nullptr)
      parts.find(quote_identifier(name), column->type,
                 [&](const std::string & /*expression*/, const TypeInfo &type) {
                   oids.push_back(std::to_string(type.oid));
                 });
  Shape shape;
  if (oids.empty())
    return shape;
  const Rows rows = source.exec(
      "SELECT DISTINCT e.extname, e.extversion FROM pg_catalog.pg_depend AS d"
      " JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid"
      " WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass"
      " AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'"
      " AND d.objid = ANY ($1::pg_catalog.oid[]) ORDER BY e.extname",
      {Param(array_literal(oids))});
  for (size_t row = 0; row < rows.size(); ++row)
    shape.push_back({.part = ShapePart::kExtension,
                     .name = rows.text(row, 0),
                     .place = {},
                     .type = rows.text(row, 1),
                     .words = rows.text(row, 1)});
  return shape;
}

} // namespace parallel_loader
