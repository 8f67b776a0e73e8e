// resolve_range: the caller's bounds, read by the source in its own formats; see range.hpp.
#include "core/base/error.hpp"
#include "core/base/list.hpp"
#include "core/base/quote.hpp"
#include "core/base/record_literal.hpp"
#include "core/plan/range.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr std::string_view kTextTypes[] = {"",     "text",    "varchar", "bpchar",
                                           "name", "unknown", "cstring"};
constexpr std::string_view kFractionTypes[] = {"numeric", "float4", "float8"};
constexpr std::string_view kNumericName = "\"pg_catalog\".\"numeric\"";

bool is_any_of(std::span<const std::string_view> types, std::string_view quoted_type) {
  return std::ranges::any_of(
      types, [&](std::string_view type) { return quote_builtin_type(type) == quoted_type; });
}

std::string cast(std::string_view text, std::string_view type) {
  return quote_literal(text) + "::" + std::string(type);
}

// The bound of a single column, in the key's type.
std::string bound_expression(const Key &key, const Bound &bound) {
  const std::string &key_type = key.columns().front().bound_type;
  const std::string given = quote_builtin_type(bound.type);
  // k >= 1.5 and k >= 2 hold for the same integers, and so do k < 1.5 and k < 2.
  if (key.is_integer() && is_any_of(kFractionTypes, given))
    return "pg_catalog.ceil(" + cast(bound.text, kNumericName) + ")::" + key_type;
  // Numbers are read from their shortest exact text: a cast from float would drop digits.
  const bool is_exact = key_type == kNumericName && is_any_of(kFractionTypes, given);
  if (given == key_type || is_exact || is_any_of(kTextTypes, given))
    return cast(bound.text, key_type);
  return cast(bound.text, given) + "::" + key_type;
}

std::vector<std::string> bound_expressions(const Key &key, const Bound &bound) {
  if (key.columns().size() == 1)
    return {bound_expression(key, bound)};
  std::vector<std::string> expressions;
  for (const std::string &field : parse_record(bound.text, key.columns().size()))
    expressions.push_back(cast(field, key.columns()[expressions.size()].bound_type));
  return expressions;
}

/// One bound as a sub-select: columns s1, s2, … and how the statement around it names them.
class BoundQuery {
public:
  BoundQuery(const Key &key, const Bound &bound, std::string_view alias)
      : key_(key), expressions_(bound_expressions(key, bound)), alias_(alias) {}

  [[nodiscard]] std::string from() const {
    std::string list;
    for (size_t i = 0; i < expressions_.size(); ++i)
      add_to_list(list, expressions_[i] + " AS c" + std::to_string(i));
    // OFFSET keeps the expressions from being copied into every place that names them.
    return "(SELECT " + list + " OFFSET 0) AS " + alias_;
  }

  [[nodiscard]] std::string text() const {
    return (expressions_.size() == 1 ? columns(false) : "ROW(" + columns(false) + ")") +
           "::pg_catalog.text";
  }

  [[nodiscard]] std::string value() const { return "(" + columns(true) + ")"; }

private:
  [[nodiscard]] std::string columns(bool is_compared) const {
    std::string list;
    for (size_t i = 0; i < expressions_.size(); ++i) {
      const std::string &collation = key_.columns()[i].collation;
      add_to_list(list, alias_ + ".c" + std::to_string(i) +
                            (is_compared && !collation.empty() ? " COLLATE " + collation : ""));
    }
    return list;
  }

  const Key &key_;
  std::vector<std::string> expressions_;
  std::string alias_;
};

// What the source says of a bound it cannot read stays whole; only who reads it is put right.
Rows read_bounds(Executor &source, const std::string &sql) {
  constexpr std::string_view kPrefix = "could not read from source: ";
  try {
    return source.exec(sql);
  } catch (const Error &error) {
    const bool is_about_bounds = error.sqlstate().starts_with("22") ||
                                 error.sqlstate().starts_with("42") ||
                                 error.sqlstate() == sqlstate::kFeatureNotSupported;
    if (!is_about_bounds || !error.message().starts_with(kPrefix))
      throw;
    throw Error(error.sqlstate(),
                "bounds of the range cannot be read as values of the key: " +
                    error.message().substr(kPrefix.size()),
                error.detail(), error.hint());
  }
}

ResolvedRange resolve_both(Executor &source, const Key &key, const Bound &start, const Bound &end) {
  const BoundQuery first(key, start, "s");
  const BoundQuery last(key, end, "e");
  const Rows row = read_bounds(
      source, "SELECT " + first.text() + ", " + last.text() + ", " + first.value() +
                  key.comparison(">") + last.value() + ", " + first.value() + key.comparison("=") +
                  last.value() + " FROM " + first.from() + ", " + last.from());
  if (row.required_boolean(0, 2))
    throw Error(sqlstate::kInvalidParameterValue, "start of the range lies after its end",
                "The start is \"" + row.text(0, 0) + "\", the end is \"" + row.text(0, 1) + "\".");
  return {.range = {.start = row.value(0, 0), .end = row.value(0, 1)},
          .is_empty = row.required_boolean(0, 3)};
}

std::string resolve_one(Executor &source, const Key &key, const Bound &bound) {
  const BoundQuery query(key, bound, "s");
  return read_bounds(source, "SELECT " + query.text() + " FROM " + query.from()).value(0, 0);
}

} // namespace

ResolvedRange resolve_range(Executor &source, const Key &key, const std::optional<Bound> &start,
                            const std::optional<Bound> &end) {
  if (!start && !end)
    return {};
  if (key.is_none())
    throw Error(sqlstate::kInvalidParameterValue, "a range needs a key", {},
                "Name the column that start and end are values of in key.");
  if (start && end)
    return resolve_both(source, key, *start, *end);
  ResolvedRange resolved;
  if (start)
    resolved.range.start = resolve_one(source, key, *start);
  else
    resolved.range.end = resolve_one(source, key, *end);
  return resolved;
}

} // namespace parallel_loader
