#include "orchestrator/tables/table_argument.hpp"

#include "orchestrator/base/failure.hpp"

#include <fmt/format.h>

namespace parallel_loader {

namespace {

/// The position of the first `=` outside double quotes; npos when there is none.  A doubled quote
/// inside a name closes and opens it again, which comes to the same.
size_t find_separator(std::string_view text) {
  bool is_quoted = false;
  for (size_t index = 0; index < text.size(); ++index)
    if (text[index] == '"')
      is_quoted = !is_quoted;
    else if (text[index] == '=' && !is_quoted)
      return index;
  return std::string_view::npos;
}

QualifiedName parse_name(std::string_view name, std::string_view argument) {
  try {
    return parse_qualified_name(name);
  } catch (const Error &) {
    throw usage_failure(
        fmt::format("invalid table name \"{}\"", argument),
        R"(Give TABLE or SCHEMA.TABLE, quoted as in SQL where needed: 'sales."Odd Name"'.)");
  }
}

} // namespace

TableArgument parse_table_argument(std::string_view text) {
  const size_t separator = find_separator(text);
  const QualifiedName table = parse_name(text.substr(0, separator), text);
  if (separator == std::string_view::npos)
    return {table, table};
  return {table, parse_name(text.substr(separator + 1), text)};
}

} // namespace parallel_loader
