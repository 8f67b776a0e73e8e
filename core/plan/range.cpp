#include "core/plan/range.hpp"

#include "core/base/error.hpp"
#include "core/base/list.hpp"
#include "core/base/quote.hpp"
#include "core/base/record_literal.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr std::string_view kBigint = "\"pg_catalog\".\"int8\"";
constexpr std::string_view kTid = "\"pg_catalog\".\"tid\"";

constexpr bool is_integer_type(TypeOid type) {
  return type == 20 || type == 21 || type == 23;
}

// They compare with each other, and an index serves any of them.
constexpr std::string_view kMomentTypes[] = {
    "\"pg_catalog\".\"date\"", "\"pg_catalog\".\"timestamp\"", "\"pg_catalog\".\"timestamptz\""};

bool is_moment_name(std::string_view quoted_type) {
  return std::ranges::find(kMomentTypes, quoted_type) != std::end(kMomentTypes);
}

std::string row_of(const std::vector<std::string> &parts) {
  return parts.size() == 1 ? parts.front() : "(" + join(parts, ", ") + ")";
}

std::string lower(std::string_view name) {
  std::string text(name);
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

// Names without quotes are folded to lower case in SQL, so this is how one with capitals is missed.
std::string alike_sentence(const SourceTable &table, std::string_view name) {
  const auto alike = std::ranges::find_if(
      table.columns, [&](const SourceColumn &column) { return lower(column.name) == lower(name); });
  return alike == table.columns.end() ? std::string()
                                      : "The table has column \"" + alike->name + "\".";
}

const SourceColumn &require_column(const SourceTable &table, std::string_view name) {
  const SourceColumn *const column = table.find_column(name);
  if (column == nullptr)
    throw Error(sqlstate::kUndefinedColumn,
                "key column \"" + std::string(name) + "\" of table " + table.name.cited() +
                    " does not exist on the source",
                alike_sentence(table, name),
                "Name a column of the source's table in key, exactly as it is spelled there.");
  return *column;
}

KeyColumn read_column(const SourceColumn &column, const Types &types) {
  const TypeInfo &type = types.base(column.type);
  return {.name = column.name,
          .bound_type = is_integer_type(type.oid) ? std::string(kBigint) : type.quoted_name,
          .collation = column.collation,
          .is_not_null = column.is_not_null,
          .operators = type.operators};
}

std::vector<std::string> split_key_list(std::string_view text) {
  const size_t last = text.find_last_not_of(" \t\r\n");
  if (text[last] != ')')
    throw Error(sqlstate::kSyntaxError, "key list \"" + std::string(text) + "\" has no end", {},
                "Write it as (a, \"B c\").");
  return split_identifier_list(text.substr(1, last - 1));
}

std::string operator_of(const KeyColumn &column, std::string_view name) {
  constexpr std::string_view kStrategies[] = {"<", "<=", "=", ">=", ">"};
  const auto strategy = std::ranges::find(kStrategies, name) - std::begin(kStrategies);
  const std::string &own = column.operators.at(static_cast<size_t>(strategy));
  return own.empty() ? "OPERATOR(pg_catalog." + std::string(name) + ")" : own;
}

// A comparison of rows has one operator for all columns.
void require_same_operators(const std::vector<KeyColumn> &columns) {
  for (const KeyColumn &column : columns)
    if (operator_of(column, "<") != operator_of(columns.front(), "<"))
      throw Error(sqlstate::kFeatureNotSupported,
                  "column \"" + column.name +
                      "\" cannot be part of this key: its operators are in another schema");
}

} // namespace

std::string quote_builtin_type(std::string_view name) {
  if (name.empty() || name.front() == '"')
    return std::string(name);
  return "\"pg_catalog\"." + quote_identifier(name);
}

Key Key::resolve(std::string_view text, const SourceTable &table, const Types &types,
                 std::string_view bound_type) {
  Key key;
  if (text.empty())
    return key;
  if (text.front() == '(' && table.find_column(text) == nullptr) {
    const std::vector<std::string> names = split_key_list(text);
    for (auto name = names.begin(); name != names.end(); ++name) {
      if (std::find(names.begin(), name, *name) != name)
        throw Error(sqlstate::kDuplicateColumn, "key column \"" + *name + "\" is named twice");
      key.columns_.push_back(read_column(require_column(table, *name), types));
    }
    require_same_operators(key.columns_);
  } else if (text == "ctid" && table.find_column(text) == nullptr &&
             std::string_view("rmp").find(table.kind) != std::string_view::npos) {
    key.is_ctid_ = true;
    key.columns_.push_back({.name = "ctid",
                            .bound_type = std::string(kTid),
                            .collation = {},
                            .is_not_null = true,
                            .operators = {}});
  } else {
    key.columns_.push_back(read_column(require_column(table, text), types));
  }
  // Bounds of several columns come as text, so only a single column has a type given with them.
  const std::string given = quote_builtin_type(bound_type);
  if (KeyColumn &first = key.columns_.front();
      key.columns_.size() == 1 && is_moment_name(first.bound_type) && is_moment_name(given))
    first.bound_type = given;
  return key;
}

std::string Key::text() const {
  if (is_none())
    return {};
  if (columns_.size() == 1 && columns_.front().name.front() != '(')
    return columns_.front().name;
  std::vector<std::string> names;
  for (const KeyColumn &column : columns_)
    names.push_back(quote_identifier(column.name));
  return "(" + join(names, ", ") + ")";
}

bool Key::is_integer() const noexcept {
  return columns_.size() == 1 && columns_.front().bound_type == kBigint;
}

std::string Key::comparison(std::string_view operator_name) const {
  return " " + operator_of(columns_.front(), operator_name) + " ";
}

std::string Key::bound_literal(std::string_view text) const {
  if (columns_.size() == 1)
    return quote_literal(text) + "::" + columns_.front().bound_type;
  const std::vector<std::string> fields = parse_record(text, columns_.size());
  std::vector<std::string> literals;
  for (size_t i = 0; i < fields.size(); ++i)
    literals.push_back(quote_literal(fields[i]) + "::" + columns_[i].bound_type);
  return row_of(literals);
}

std::string Key::compare(const std::vector<std::string> &values, std::string_view operator_name,
                         std::string_view bound) const {
  return row_of(values) + comparison(operator_name) + bound_literal(bound);
}

std::string Key::condition(const Range &range) const {
  if (is_none()) {
    if (range != Range{})
      throw Error(sqlstate::kInvalidParameterValue, "a range needs a key");
    return {};
  }
  if (range == Range{})
    return {};
  std::vector<std::string> names, nulls, not_nulls;
  for (const KeyColumn &column : columns_) {
    names.push_back(quote_identifier(column.name));
    // IS NULL is also true of a composite value that holds nothing but NULLs, this is not.
    nulls.push_back(names.back() + " IS NOT DISTINCT FROM NULL");
    if (!column.is_not_null)
      not_nulls.push_back(names.back() + " IS DISTINCT FROM NULL");
  }
  if (range.nulls)
    return "(" + join(nulls, " OR ") + ")";

  std::vector<std::string> conditions;
  if (range.start)
    conditions.push_back(compare(names, ">=", *range.start));
  if (range.end)
    conditions.push_back(compare(names, "<", *range.end));
  // A comparison of one column leaves its NULLs out by itself; one of rows may be decided before it
  // comes to a NULL.
  if (columns_.size() > 1 || range.not_null)
    conditions.insert(conditions.end(), not_nulls.begin(), not_nulls.end());
  return join(conditions, " AND ");
}

} // namespace parallel_loader
