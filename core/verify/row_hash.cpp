#include "core/verify/row_hash.hpp"

#include "core/base/list.hpp"
#include "core/base/quote.hpp"

namespace parallel_loader {
namespace {

constexpr TypeOid kChar = 18;
constexpr TypeOid kTimestamptz = 1184;

std::string column_text(const HashColumn &column) {
  std::string name = quote_identifier(column.name);
  switch (column.type) {
  case kChar:
    return "(" + name + ")::pg_catalog.int4";
  case kTimestamptz:
    return "pg_catalog.timezone('UTC', " + name + ")";
  default:
    return name;
  }
}

std::string server_hash(const std::string &text) {
  return "pg_catalog.hashtextextended((" + text + ") COLLATE pg_catalog.\"C\", 0)";
}

std::string sha256_hash(const std::string &bytes) {
  return "('x' OPERATOR(pg_catalog.||) pg_catalog.encode(pg_catalog.substr(pg_catalog.sha256(" +
         bytes + "), 1, 8), 'hex'))::pg_catalog.\"bit\"(64)::pg_catalog.int8";
}

} // namespace

TextForm common_text_form(std::string_view source_encoding, std::string_view destination_encoding) {
  constexpr std::string_view kAnyBytes = "SQL_ASCII";
  const bool is_same = source_encoding == destination_encoding || source_encoding == kAnyBytes ||
                       destination_encoding == kAnyBytes;
  return is_same ? TextForm::kStored : TextForm::kUtf8;
}

HashFunction common_hash_function(Executor &source, Executor &destination) {
  // Longer than the twelve bytes that the function mixes at a time.
  const std::string sample =
      "SELECT " + server_hash("'Parallel Loader, 0123456789'::pg_catalog.text");
  return source.exec(sample).text(0, 0) == destination.exec(sample).text(0, 0)
             ? HashFunction::kServer
             : HashFunction::kSha256;
}

std::string row_hash(std::span<const HashColumn> columns, TextForm form, HashFunction function) {
  std::string list;
  for (const HashColumn &column : columns)
    add_to_list(list, column_text(column));
  const std::string text = "ROW(" + list + ")::pg_catalog.text";
  const std::string encoding =
      form == TextForm::kUtf8 ? "'UTF8'" : "pg_catalog.getdatabaseencoding()";
  const std::string bytes = "pg_catalog.convert_to(" + text + ", " + encoding + ")";
  if (function == HashFunction::kSha256)
    return sha256_hash(bytes);
  if (form == TextForm::kStored)
    return server_hash(text);
  return server_hash("pg_catalog.encode(" + bytes + ", 'escape')");
}

} // namespace parallel_loader
