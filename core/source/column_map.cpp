#include "core/source/column_map.hpp"

#include "core/base/error.hpp"
#include "core/source/range_order.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr TypeOid kChar = 18; // "char"
constexpr std::string_view kSpelling =
    "Spell the names in columns exactly as in the table, including capitals, without quotes.";

const DestinationColumn *find_column(const DestinationTable &table, std::string_view name) {
  const auto found = std::ranges::find(table.columns, name, &DestinationColumn::name);
  return found == table.columns.end() ? nullptr : &*found;
}

[[noreturn]] void throw_no_column(std::string_view column, const QualifiedName &table,
                                  std::string_view where, std::string_view hint) {
  throw Error(sqlstate::kUndefinedColumn,
              "column \"" + std::string(column) + "\" of table " + table.cited() +
                  " does not exist on the " + std::string(where),
              {}, std::string(hint));
}

std::vector<std::string> default_columns(const SourceTable &source,
                                         const DestinationTable &destination) {
  std::vector<std::string> names;
  for (const SourceColumn &column : source.columns) {
    const DestinationColumn *const counterpart = find_column(destination, column.name);
    if (counterpart == nullptr)
      throw_no_column(column.name, destination.name, "destination",
                      "Name the columns to pull in columns, or add the column.");
    if (!counterpart->is_generated)
      names.push_back(column.name);
  }
  return names;
}

void check_named_columns(const std::vector<std::string> &names, const SourceTable &source,
                         const DestinationTable &destination) {
  for (auto name = names.begin(); name != names.end(); ++name) {
    if (std::find(names.begin(), name, *name) != name)
      throw Error(sqlstate::kDuplicateColumn, "column \"" + *name + "\" specified more than once");
    const DestinationColumn *const counterpart = find_column(destination, *name);
    if (counterpart == nullptr)
      throw_no_column(*name, destination.name, "destination", kSpelling);
    if (counterpart->is_generated)
      throw Error(sqlstate::kInvalidColumnReference,
                  "column \"" + *name + "\" is a generated column",
                  "Generated columns cannot be pulled: the destination computes them.");
    if (source.find_column(*name) == nullptr)
      throw_no_column(*name, source.name, "source", kSpelling);
  }
}

// COPY FROM takes an empty column list as all columns.
void require_expressible(const std::vector<std::string> &names,
                         const DestinationTable &destination) {
  const bool has_column_to_fill =
      !std::ranges::all_of(destination.columns, &DestinationColumn::is_generated);
  if (names.empty() && has_column_to_fill)
    throw Error(sqlstate::kFeatureNotSupported,
                "no column of table " + destination.name.cited() + " would be pulled",
                "Rows that consist of defaults alone cannot be pulled.");
}

/// The two sides of a pull.
struct Sides {
  const SourceTable &source;
  const Types &source_types;
  const DestinationTable &destination;
  const Types &destination_types;
};

// The first column that binary COPY cannot carry, and why; column empty when it carries all.
struct Obstacle {
  std::string column;
  std::string reason;

  [[nodiscard]] std::string text() const {
    return column.empty() ? std::string() : "column \"" + column + "\" " + reason;
  }
};

Obstacle find_obstacle(const Sides &sides, const std::vector<std::string> &names) {
  for (const std::string &name : names) {
    std::string reason =
        why_not_binary(sides.source_types, sides.source.find_column(name)->type,
                       sides.destination_types, find_column(sides.destination, name)->type);
    if (!reason.empty())
      return {name, std::move(reason)};
  }
  // Binary COPY FROM looks up a receive function for every column there is, listed or not.
  for (const DestinationColumn &column : sides.destination.columns) {
    const TypeInfo &type = sides.destination_types.base(column.type);
    if (!type.has_binary)
      return {column.name, "of the destination has type " + type.name +
                               ", which has no binary form, listed or not"};
  }
  return {};
}

// Whoever asks for text by name wants the fields by position.
void require_same_field_order(const Sides &sides, const std::vector<std::string> &names) {
  for (const std::string &name : names) {
    const std::string reason =
        why_not_text(sides.source_types, sides.source.find_column(name)->type,
                     sides.destination_types, find_column(sides.destination, name)->type);
    if (!reason.empty())
      throw Error(sqlstate::kDatatypeMismatch,
                  "column \"" + name + "\" would be pulled into other fields",
                  "The column " + reason + ".",
                  "Make the types equal, or use format => 'text' to pull fields by position.");
  }
}

// Whoever asks for text by name does not ask for other values.
void require_same_ranges(const Sides &sides, const std::vector<std::string> &names) {
  for (const std::string &name : names) {
    const std::string reason = why_other_ranges(
        sides.source_types, sides.source.find_column(name)->type, sides.destination_types,
        find_column(sides.destination, name)->type, OrderRule::kSameValues);
    if (!reason.empty())
      throw Error(sqlstate::kDatatypeMismatch,
                  "ranges of column \"" + name + "\" might change on the destination",
                  "The column " + reason + ".",
                  "Make the range types equal, pull into a column of type text, or leave the "
                  "column out with columns.");
  }
}

std::string select_list(const ColumnMap &map) {
  std::string list;
  for (const std::string &column : map.columns)
    list += (list.empty() ? " " : ", ") + quote_identifier(column);
  return list;
}

} // namespace

FormatChoice parse_format(std::string_view text) {
  if (text == "auto")
    return FormatChoice::kAuto;
  if (text == "text")
    return FormatChoice::kText;
  if (text == "binary")
    return FormatChoice::kBinary;
  throw Error(sqlstate::kInvalidParameterValue,
              "invalid value for format: \"" + std::string(text) + "\"", {},
              "Use auto, text or binary.");
}

std::string_view format_name(Format format) noexcept {
  return format == Format::kBinary ? "binary" : "text";
}

ColumnMap map_columns(const SourceTable &source, const Types &source_types,
                      const DestinationTable &destination, const Types &destination_types,
                      const std::optional<std::vector<std::string>> &columns, FormatChoice choice) {
  if (columns)
    check_named_columns(*columns, source, destination);
  ColumnMap map;
  map.columns = columns ? *columns : default_columns(source, destination);
  require_expressible(map.columns, destination);

  const Sides sides{source, source_types, destination, destination_types};
  const Obstacle obstacle = find_obstacle(sides, map.columns);
  if (choice == FormatChoice::kBinary && !obstacle.column.empty())
    throw Error(sqlstate::kFeatureNotSupported,
                "binary format cannot carry column \"" + obstacle.column + "\"",
                "The column " + obstacle.reason + ".",
                "Use format => 'auto' or 'text', or leave the column out with columns.");
  if (choice != FormatChoice::kText && obstacle.column.empty()) {
    map.format = Format::kBinary;
    return map;
  }
  if (choice == FormatChoice::kAuto)
    require_same_field_order(sides, map.columns);
  require_same_ranges(sides, map.columns);
  map.format_reason = choice == FormatChoice::kText ? "text format was asked for" : obstacle.text();
  map.chars = find_char_text(source, source_types, destination, destination_types, map.columns);
  return map;
}

CharText find_char_text(const SourceTable &source, const Types &source_types,
                        const DestinationTable &destination, const Types &destination_types,
                        const std::vector<std::string> &columns) {
  CharText chars(find_char_flaw(source_types.server(), destination_types.server()));
  for (size_t index = 0; index < columns.size(); ++index) {
    const SourceColumn *const there = source.find_column(columns[index]);
    const DestinationColumn *const here = find_column(destination, columns[index]);
    if (there != nullptr && here != nullptr && source_types.contains(there->type, kChar) &&
        destination_types.contains(here->type, kChar))
      chars.add(index, columns[index]);
  }
  return chars;
}

std::string copy_statement(std::string_view from_item, const ColumnMap &map,
                           std::string_view range_condition, std::string_view filter) {
  std::string where;
  if (!range_condition.empty())
    where = " WHERE " + std::string(range_condition);
  // The line break ends a comment that the filter may end with.
  if (!filter.empty())
    where += (where.empty() ? " WHERE (" : " AND (") + std::string(filter) + "\n)";
  return "COPY (SELECT" + select_list(map) + " FROM " + std::string(from_item) + where +
         ") TO STDOUT (FORMAT " + std::string(format_name(map.format)) + ")";
}

std::string lock_statement(const SourceTable &source, const ColumnMap &map) {
  return "SELECT" + select_list(map) + " FROM " + source.from_item() + " LIMIT 0";
}

std::string rights_statement(const SourceTable &source, const ColumnMap &map) {
  return "SELECT" + select_list(map) + " FROM " + source.from_item() + " WHERE false";
}

} // namespace parallel_loader
