#include "orchestrator/tables/table_pattern.hpp"

#include "orchestrator/base/failure.hpp"

#include <fmt/format.h>

#include <vector>

namespace parallel_loader {

namespace {

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

void add_literal(std::string &regex, char c) {
  constexpr std::string_view kSpecial = R"(\.[]{}()*+?^$|)";
  if (kSpecial.find(c) != std::string_view::npos)
    regex += '\\';
  regex += c;
}

void add_unquoted(std::string &regex, char c) {
  if (c == '*')
    regex += ".*";
  else if (c == '?')
    regex += '.';
  else if (c == '$') // is part of names more often than it ends them
    regex += "\\$";
  else
    regex += lower(c);
}

/// The parts between dots, as regular expressions that are not anchored yet.
std::vector<std::string> split_pattern(std::string_view text) {
  std::vector<std::string> parts(1);
  bool is_quoted = false;
  for (size_t index = 0; index < text.size(); ++index) {
    const char c = text[index];
    if (c == '"' && is_quoted && index + 1 < text.size() && text[index + 1] == '"')
      add_literal(parts.back(), text[++index]);
    else if (c == '"')
      is_quoted = !is_quoted;
    else if (is_quoted)
      add_literal(parts.back(), c);
    else if (c == '.')
      parts.emplace_back();
    else
      add_unquoted(parts.back(), c);
  }
  if (is_quoted)
    parts.clear();
  return parts;
}

std::string anchored(const std::string &regex) {
  return "^(" + regex + ")$";
}

} // namespace

bool is_table_pattern(std::string_view text) noexcept {
  bool is_quoted = false;
  for (const char c : text)
    if (c == '"')
      is_quoted = !is_quoted;
    else if (!is_quoted && (c == '*' || c == '?'))
      return true;
  return false;
}

TablePattern parse_table_pattern(std::string_view text) {
  const std::vector<std::string> parts = split_pattern(text);
  if (parts.empty() || parts.size() > 2 || parts.front().empty() || parts.back().empty())
    throw usage_failure(
        fmt::format("invalid table pattern \"{}\"", text),
        R"(Give PATTERN or SCHEMA.PATTERN, as psql reads it: 'sales.*', or '"Odd"*'.)");
  if (parts.size() == 1)
    return {.text = std::string(text), .schema = std::nullopt, .name = anchored(parts[0])};
  return {.text = std::string(text), .schema = anchored(parts[0]), .name = anchored(parts[1])};
}

std::string parse_schema_pattern(std::string_view text) {
  const std::vector<std::string> parts = split_pattern(text);
  if (parts.size() != 1 || parts.front().empty())
    throw usage_failure(fmt::format("invalid schema pattern \"{}\"", text),
                        R"(Give the name of a schema, or a pattern, as psql reads it: 'sales*'.)");
  return anchored(parts[0]);
}

} // namespace parallel_loader
