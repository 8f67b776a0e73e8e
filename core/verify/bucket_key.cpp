#include "core/verify/bucket_key.hpp"

#include "core/base/error.hpp"
#include "core/base/quote.hpp"

#include <algorithm>
#include <set>

namespace parallel_loader {
namespace {

constexpr TypeOid kSmallint = 21, kInteger = 23, kBigint = 20, kNumeric = 1700, kBpchar = 1042;
// uuid, bytea, date, timestamp, timestamptz: their order is part of their definition.
constexpr TypeOid kValueTypes[] = {2950, 17, 1082, 1114, 1184};
constexpr TypeOid kTextTypes[] = {25, 1043, 19}; // text, varchar, name
constexpr std::string_view kText = "\"pg_catalog\".\"text\"";
constexpr std::string_view kBytea = "\"pg_catalog\".\"bytea\"";

template <size_t kSize> bool is_one_of(const TypeOid (&types)[kSize], TypeOid type) {
  return std::ranges::find(types, type) != std::end(types);
}

bool is_integer(TypeOid type) {
  return type == kSmallint || type == kInteger || type == kBigint;
}

bool is_text(const TypeInfo &type) {
  return is_one_of(kTextTypes, type.oid) || type.kind == TypeKind::kEnum ||
         type.quoted_name.ends_with(".\"citext\"");
}

/// The type that values of both are compared as; empty when there is none.  It is one of the
/// server's own, and called as this side calls it: what a source says is no SQL here.
std::string common_type(const TypeInfo &source, const TypeInfo &local) {
  const TypeInfo &a = source;
  const TypeInfo &b = local;
  if (is_integer(a.oid) && is_integer(b.oid))
    return "\"pg_catalog\".\"int8\"";
  const auto is_number = [](TypeOid type) { return is_integer(type) || type == kNumeric; };
  if (is_number(a.oid) && is_number(b.oid))
    return "\"pg_catalog\".\"numeric\"";
  if (a.oid == b.oid && is_one_of(kValueTypes, a.oid))
    return b.quoted_name;
  if ((is_text(a) && is_text(b)) || (a.oid == kBpchar && b.oid == kBpchar))
    return std::string(kText);
  return {};
}

constexpr std::string_view kIndexedColumns = R"sql(
SELECT a.attname
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = $1::pg_catalog.oid AND i.indisvalid AND i.indisready AND i.indpred IS NULL
ORDER BY i.indisprimary DESC, i.indisunique DESC, i.indnkeyatts, a.attnum, i.indexrelid)sql";

} // namespace

std::optional<BucketKey> BucketKey::match(const TablePair &tables, std::string_view column,
                                          TextForm form) {
  const SourceColumn *const there = tables.source.find_column(column);
  const auto here = std::ranges::find(tables.destination.columns, column, &DestinationColumn::name);
  if (there == nullptr || here == tables.destination.columns.end())
    return std::nullopt;
  BucketKey key;
  key.column_ = here->name;
  key.type_ =
      common_type(tables.source_types.base(there->type), tables.destination_types.base(here->type));
  if (key.type_.empty())
    return std::nullopt;
  key.is_nullable_ = !there->is_not_null;
  if (key.type_ == kText)
    key.order_ = form == TextForm::kUtf8 ? Order::kUtf8Bytes : Order::kText;
  if (key.order_ == Order::kUtf8Bytes)
    key.type_ = kBytea;
  return key;
}

std::string BucketKey::value() const {
  const std::string name = quote_identifier(column_);
  switch (order_) {
  case Order::kValue:
    return "(" + name + ")::" + type_;
  case Order::kText:
    return "((" + name + ")::" + type_ + " COLLATE pg_catalog.\"C\")";
  case Order::kUtf8Bytes:
    return "pg_catalog.convert_to((" + name + ")::" + std::string(kText) + ", 'UTF8')";
  }
  return {};
}

// A cast would keep an index from being used.
std::string BucketKey::compared() const {
  return order_ == Order::kValue ? quote_identifier(column_) : value();
}

std::string BucketKey::literal(const Boundary &boundary) const {
  return quote_literal(boundary.value) + "::" + type_;
}

std::vector<Boundary> BucketKey::sort_boundaries(Executor &source,
                                                 std::span<const PlannedChunk> chunks) const {
  std::set<std::string> texts;
  for (const PlannedChunk &chunk : chunks)
    for (const std::optional<std::string> &bound : {chunk.range.start, chunk.range.end})
      if (bound)
        texts.insert(*bound);
  if (texts.empty())
    return {};
  const std::vector<std::string> given(texts.begin(), texts.end());
  const bool is_bytes = order_ == Order::kUtf8Bytes;
  // s.v: the name alone would be that of the first output column, which is text.
  const std::string sorted = order_ == Order::kValue ? "s.v"
                             : is_bytes              ? "pg_catalog.convert_to(s.v, 'UTF8')"
                                                     : "s.v COLLATE pg_catalog.\"C\"";
  const std::string shown = "s.v::" + std::string(kText);
  const Rows rows = source.exec(
      "SELECT " + shown + ", " + (is_bytes ? sorted + "::" + std::string(kText) : shown) +
          " FROM (SELECT DISTINCT u.p::" + (is_bytes ? std::string(kText) : type_) +
          " AS v FROM pg_catalog.unnest($1::pg_catalog.text[]) AS u(p)) AS s ORDER BY " + sorted,
      {Param(array_literal(given))});
  std::vector<Boundary> boundaries;
  for (size_t row = 0; row < rows.size(); ++row)
    boundaries.push_back({rows.text(row, 0), rows.text(row, 1)});
  if (boundaries.size() > given.size())
    throw Error(sqlstate::kProtocolViolation, "source returns more bounds than it was given");
  return boundaries;
}

std::string BucketKey::bucket(std::span<const Boundary> boundaries) const {
  std::vector<std::string> values;
  for (const Boundary &boundary : boundaries)
    values.push_back(boundary.value);
  return "pg_catalog.width_bucket(" + value() + ", " + quote_literal(array_literal(values)) +
         "::" + type_ + "[])";
}

std::string BucketKey::condition(std::span<const Boundary> boundaries, size_t first,
                                 size_t last) const {
  if (first == 0 && last >= boundaries.size())
    return {};
  std::string text;
  if (first > 0)
    text = compared() + " OPERATOR(pg_catalog.>=) " + literal(boundaries[first - 1]);
  if (last < boundaries.size())
    text += (text.empty() ? "" : " AND ") + compared() + " OPERATOR(pg_catalog.<) " +
            literal(boundaries[last]);
  else if (is_nullable_)
    text = "(" + text + " OR " + quote_identifier(column_) + " IS NULL)";
  return text;
}

std::optional<BucketKey> choose_bucket_key(Executor &source, const TablePair &tables,
                                           std::string_view wanted, TextForm form) {
  if (!wanted.empty())
    if (std::optional<BucketKey> key = BucketKey::match(tables, wanted, form))
      return key;
  const Rows columns = source.exec(kIndexedColumns, {Param(std::to_string(tables.source.oid))});
  for (size_t row = 0; row < columns.size(); ++row)
    if (std::optional<BucketKey> key = BucketKey::match(tables, columns.text(row, 0), form))
      return key;
  return std::nullopt;
}

} // namespace parallel_loader
