#include "core/plan/row_match.hpp"

#include "core/base/error.hpp"
#include "core/base/list.hpp"
#include "core/base/quote.hpp"

#include <algorithm>
#include <array>

namespace parallel_loader {
namespace {

constexpr std::string_view kKeyTypes = R"sql(
WITH RECURSIVE base (number, type, modifier, display) AS (
  SELECT k.number, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, a.atttypmod)
  FROM pg_catalog.unnest($2::pg_catalog.text[]) WITH ORDINALITY AS k(name, number)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = $1::pg_catalog.oid
    AND a.attname::pg_catalog.text = k.name AND NOT a.attisdropped
  UNION ALL
  SELECT b.number, t.typbasetype, t.typtypmod, b.display
  FROM base AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.type
  WHERE t.typtype = 'd' AND t.typbasetype <> b.type)
SELECT t.oid, n.nspname, t.typname, b.modifier, b.display
FROM base AS b
JOIN pg_catalog.pg_type AS t ON t.oid = b.type AND t.typtype <> 'd'
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
ORDER BY b.number)sql";

constexpr uint32_t kInt2 = 21, kInt4 = 23, kInt8 = 20, kFloat4 = 700, kFloat8 = 701;
constexpr uint32_t kText = 25, kBpchar = 1042, kVarchar = 1043, kBit = 1560, kVarbit = 1562;
constexpr uint32_t kDate = 1082, kTime = 1083, kTimestamp = 1114, kTimestamptz = 1184;
constexpr uint32_t kTimetz = 1266, kNumeric = 1700;
constexpr int32_t kHeader = 4; // that modifiers of numeric and texts count

bool is_same_type(const KeyType &one, const KeyType &other) {
  if (one.oid < kFirstUserOid || other.oid < kFirstUserOid)
    return one.oid == other.oid;
  return one.name == other.name && one.schema == other.schema;
}

bool is_one_of(uint32_t oid, std::initializer_list<uint32_t> oids) {
  return std::ranges::find(oids, oid) != oids.end();
}

// Of a numeric's modifier: eleven bits with sign.
int32_t scale(int32_t modifier) {
  return (((modifier - kHeader) & 0x7ff) ^ 1024) - 1024;
}

bool is_unlimited_text(const KeyType &type) {
  return type.modifier == -1 && (is_one_of(type.oid, {kText, kVarchar}) || type.name == "citext");
}

// A modifier that takes nothing from values with the source's; what is refused is no matter.
bool has_room(const KeyType &source, const KeyType &local) {
  constexpr int32_t kMicroseconds = 6;
  if (local.modifier == -1 || local.modifier == source.modifier || local.oid == kBit)
    return true;
  if (is_one_of(local.oid, {kTime, kTimetz, kTimestamp, kTimestamptz}))
    return local.modifier >= (source.modifier == -1 ? kMicroseconds : source.modifier);
  if (source.modifier == -1)
    return false;
  if (local.oid == kNumeric)
    return scale(local.modifier) >= scale(source.modifier);
  return is_one_of(local.oid, {kVarchar, kBpchar, kVarbit}) && local.modifier >= source.modifier;
}

// Other types that hold every value of the source's as one of their own.
bool is_wider(const KeyType &source, const KeyType &local) {
  if (is_unlimited_text(local))
    return true;
  if (is_one_of(source.oid, {kInt2, kInt4, kInt8}) && local.oid == kNumeric)
    return local.modifier == -1 || scale(local.modifier) >= 0;
  // What an integer cannot hold is refused, not rounded: texts of numbers with a point, too.
  if (is_one_of(source.oid, {kInt2, kInt4, kInt8, kNumeric}) &&
      is_one_of(local.oid, {kInt2, kInt4, kInt8}))
    return true;
  const std::array<std::pair<uint32_t, uint32_t>, 5> wider = {{{kInt2, kFloat4},
                                                               {kInt2, kFloat8},
                                                               {kInt4, kFloat8},
                                                               {kFloat4, kFloat8},
                                                               {kDate, kTimestamp}}};
  if (source.oid == kBpchar && local.oid == kVarchar)
    return source.modifier != -1 && local.modifier >= source.modifier;
  return std::ranges::find(wider, std::pair(source.oid, local.oid)) != wider.end();
}

std::string equality(const LocalKeyColumn &column) {
  const std::string name = quote_identifier(column.name);
  std::string match = "d." + name + " OPERATOR(" + quote_identifier(column.equals_schema) + "." +
                      column.equals + ") s." + name;
  if (column.is_deterministic && column.type.name != "citext")
    return match;
  const auto text = [&](const char *row) {
    return std::string(row) + "." + name + "::pg_catalog.text COLLATE pg_catalog.\"C\"";
  };
  return match + " AND " + text("d") + " OPERATOR(pg_catalog.=) " + text("s");
}

} // namespace

std::vector<KeyType> load_key_types(Executor &source, const SourceTable &table,
                                    const std::vector<std::string> &names) {
  const Rows rows =
      source.exec(kKeyTypes, {Param(std::to_string(table.oid)), Param(array_literal(names))});
  if (rows.size() != names.size()) {
    throw Error(sqlstate::kProtocolViolation, "source does not say what types the key columns of " +
                                                  table.name.cited() + " have");
  }
  std::vector<KeyType> types;
  for (size_t row = 0; row < rows.size(); row++) {
    types.push_back({static_cast<uint32_t>(rows.integer(row, 0)), rows.text(row, 1),
                     rows.text(row, 2), static_cast<int32_t>(rows.integer(row, 3)),
                     rows.text(row, 4)});
  }
  return types;
}

bool may_merge_values(const KeyType &source, const KeyType &local) {
  return is_same_type(source, local) ? !has_room(source, local) : !is_wider(source, local);
}

std::string row_match(const std::vector<LocalKeyColumn> &columns) {
  std::string match;
  for (const LocalKeyColumn &column : columns)
    add_to_list(match, equality(column), " AND ");
  return match;
}

} // namespace parallel_loader
