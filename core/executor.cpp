// executor: see executor.hpp.
#include "core/executor.hpp"

#include "core/error.hpp"

#include <charconv>

namespace parallel_loader {
namespace {

void append_element(std::string &literal, std::string_view value) {
  literal += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\')
      literal += '\\';
    literal += c;
  }
  literal += '"';
}

} // namespace

int64_t Rows::integer(size_t row, size_t column) const {
  const std::optional<std::string> &value = at(row, column);
  if (!value)
    return 0;
  int64_t number = 0;
  const char *const end = value->data() + value->size();
  const auto [stop, failure] = std::from_chars(value->data(), end, number);
  if (failure != std::errc() || stop != end)
    throw Error(sqlstate::kInternalError, "\"" + *value + "\" is not an integer");
  return number;
}

bool Rows::boolean(size_t row, size_t column) const {
  const std::optional<std::string> &value = at(row, column);
  return value && (*value == "t" || *value == "true");
}

std::string array_literal(std::span<const std::string> values) {
  std::string literal = "{";
  for (const std::string &value : values) {
    if (literal.size() > 1)
      literal += ',';
    append_element(literal, value);
  }
  return literal += '}';
}

std::string array_literal(std::span<const std::optional<std::string>> values) {
  std::string literal = "{";
  for (const std::optional<std::string> &value : values) {
    if (literal.size() > 1)
      literal += ',';
    if (value)
      append_element(literal, *value);
    else
      literal += "NULL";
  }
  return literal += '}';
}

} // namespace parallel_loader
