#include "core/connection/executor.hpp"

#include "core/base/error.hpp"

#include <algorithm>
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

std::optional<int64_t> parse_integer(const std::string &text) {
  int64_t number = 0;
  const char *const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  return failure == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

} // namespace

int64_t Rows::integer(size_t row, size_t column) const {
  const std::optional<std::string> &value = at(row, column);
  if (!value)
    return 0;
  const std::optional<int64_t> number = parse_integer(*value);
  if (!number)
    throw_unlike(row, column, "an integer");
  return *number;
}

bool Rows::boolean(size_t row, size_t column) const {
  const std::optional<std::string> &value = at(row, column);
  return value && (*value == "t" || *value == "true");
}

const std::string &Rows::value(size_t row, size_t column) const {
  const std::optional<std::string> &value = at(row, column);
  if (!value)
    throw_unlike(row, column, "a value");
  return *value;
}

const std::string &Rows::required_text(size_t row, size_t column) const {
  const std::optional<std::string> &value = at(row, column);
  if (!value || value->empty())
    throw_unlike(row, column, "a text");
  return *value;
}

int64_t Rows::required_integer(size_t row, size_t column, int64_t lowest, int64_t highest) const {
  const std::optional<std::string> &value = at(row, column);
  const std::optional<int64_t> number = value ? parse_integer(*value) : std::nullopt;
  if (!number)
    throw_unlike(row, column, "an integer");
  if (*number < lowest || *number > highest)
    throw_unlike(row, column,
                 "between " + std::to_string(lowest) + " and " + std::to_string(highest));
  return *number;
}

int Rows::required_count(size_t row, size_t column) const {
  return static_cast<int>(required_integer(row, column, 0, INT32_MAX));
}

bool Rows::required_boolean(size_t row, size_t column) const {
  const std::optional<std::string> &value = at(row, column);
  if (value && (*value == "t" || *value == "true"))
    return true;
  if (!value || (*value != "f" && *value != "false"))
    throw_unlike(row, column, "a boolean");
  return false;
}

uint32_t Rows::oid(size_t row, size_t column) const {
  return static_cast<uint32_t>(required_integer(row, column, 1, UINT32_MAX));
}

void Rows::require_size(size_t row_count) const {
  if (size() == row_count)
    return;
  throw Error(sqlstate::kProtocolViolation, "answer of the " + std::string(server_) + " has " +
                                                std::to_string(size()) + " rows, not " +
                                                std::to_string(row_count));
}

void Rows::throw_missing(size_t row, size_t column) const {
  const bool is_row_missing = row >= size();
  throw Error(sqlstate::kProtocolViolation,
              "answer of the " + std::string(server_) + " has no " +
                  (is_row_missing ? "row " + std::to_string(row + 1)
                                  : "column " + std::to_string(column + 1)));
}

void Rows::throw_unlike(size_t row, size_t column, std::string_view wanted) const {
  constexpr size_t kMostShown = 60;
  const std::optional<std::string> &value = at(row, column);
  std::string shown = "a null value";
  if (value) {
    shown = "\"" + value->substr(0, kMostShown) + (value->size() > kMostShown ? "…" : "") + "\"";
    std::ranges::replace_if(
        shown, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  }
  throw Error(sqlstate::kProtocolViolation,
              "answer of the " + std::string(server_) + " is not " + std::string(wanted) + ": " +
                  shown,
              "It is column " + std::to_string(column + 1) + " of row " + std::to_string(row + 1) +
                  " of what a query of Parallel Loader returned.");
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
