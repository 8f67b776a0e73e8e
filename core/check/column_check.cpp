#include "core/check/column_check.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr std::string_view kItem = "columns";

const DestinationColumn *find_local(const DestinationTable &table, std::string_view name) {
  const auto found = std::ranges::find(table.columns, name, &DestinationColumn::name);
  return found == table.columns.end() ? nullptr : &*found;
}

// map_columns stops at the first column that does not fit: here each is tried by itself.
void check_one(const ColumnCheck &check, const std::string &name, Findings &findings) {
  SourceTable one = check.tables.source;
  std::erase_if(one.columns, [&](const SourceColumn &column) { return column.name != name; });
  const DestinationColumn *const local = find_local(check.tables.destination, name);
  const bool is_left_out = !check.columns && local != nullptr && local->is_generated;
  if (is_left_out)
    return;
  std::optional<std::vector<std::string>> columns;
  if (check.columns)
    columns.emplace({name});
  try {
    static_cast<void>(map_columns(one, check.tables.source_types, check.tables.destination,
                                  check.tables.destination_types, columns, check.format));
  } catch (const Error &error) {
    findings.error(kItem, error);
  }
}

void check_each(const ColumnCheck &check, Findings &findings) {
  if (check.columns)
    for (const std::string &name : *check.columns)
      check_one(check, name, findings);
  else
    for (const SourceColumn &column : check.tables.source.columns)
      check_one(check, column.name, findings);
}

bool is_same_type(const TypeInfo &source, const TypeInfo &destination) {
  if (source.oid < kFirstUserOid || destination.oid < kFirstUserOid)
    return source.oid == destination.oid;
  return source.quoted_name == destination.quoted_name;
}

void report_types(const ColumnCheck &check, const ColumnMap &map, Findings &findings) {
  for (const std::string &name : map.columns) {
    const TypeInfo &there =
        check.tables.source_types.get(check.tables.source.find_column(name)->type);
    const TypeInfo &here =
        check.tables.destination_types.get(find_local(check.tables.destination, name)->type);
    if (!is_same_type(there, here))
      findings.warning("types",
                       "column \"" + name + "\" has type " + there.name + " on the source, but " +
                           here.name + " on the destination",
                       "It is copied as text. A value that the destination's type does not accept "
                       "ends the pull.");
  }
}

// By each row, since text carries nearly all values.
void report_chars(const ColumnMap &map, Findings &findings) {
  if (map.chars.empty())
    return;
  for (const std::string &name : map.chars.columns())
    findings.warning("types",
                     "column \"" + name +
                         "\" travels as text: a value of type \"char\" that is no ASCII character "
                         "ends the pull",
                     "Use format => 'binary' if all columns allow it, or leave the column out with "
                     "columns.");
}

void report_generated(const ColumnCheck &check, Findings &findings) {
  for (const DestinationColumn &column : check.tables.destination.columns)
    if (column.is_generated)
      findings.info(kItem, "column \"" + column.name +
                               "\" is generated on the destination: it is computed, not copied");
}

void report_format(const ColumnCheck &check, const ColumnMap &map, Findings &findings) {
  if (map.format == Format::kBinary)
    findings.info("format", "rows are copied in binary format");
  else if (check.format == FormatChoice::kText)
    findings.info("format", "rows are copied as text, as requested");
  else
    findings.info("format", "rows are copied as text: " + map.format_reason,
                  "Binary format is faster if the types allow it.");
}

} // namespace

std::optional<ColumnMap> check_columns(const ColumnCheck &check, Findings &findings) {
  report_generated(check, findings);
  try {
    ColumnMap map =
        map_columns(check.tables.source, check.tables.source_types, check.tables.destination,
                    check.tables.destination_types, check.columns, check.format);
    report_types(check, map, findings);
    report_chars(map, findings);
    report_format(check, map, findings);
    return map;
  } catch (const Error &error) {
    findings.error(kItem, error);
  }
  check_each(check, findings);
  return std::nullopt;
}

} // namespace parallel_loader
