#include "orchestrator/tables/table_list.hpp"

#include "orchestrator/base/failure.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

namespace parallel_loader {

namespace {

std::string read_all(std::istream &stream) {
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::string trimmed(const std::string &line) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = line.find_first_not_of(kSpace);
  if (first == std::string::npos)
    return {};
  return line.substr(first, line.find_last_not_of(kSpace) - first + 1);
}

} // namespace

std::vector<std::string> parse_table_list(const std::string &text, const std::string &path) {
  std::vector<std::string> entries;
  std::string line;
  bool is_quoted = false;
  const auto take_line = [&] {
    if (std::string entry = trimmed(line); !entry.empty() && entry.front() != '#')
      entries.push_back(std::move(entry));
    line.clear();
  };
  bool is_comment = false;
  for (const char c : text) {
    if (c == '\n' && !is_quoted) {
      take_line();
      is_comment = false;
      continue;
    }
    is_comment = is_comment || (c == '#' && trimmed(line).empty());
    if (c == '"' && !is_comment)
      is_quoted = !is_quoted;
    line += c;
  }
  if (is_quoted)
    throw usage_failure(fmt::format("table list \"{}\" ends inside double quotes", path),
                        "Close the name's double quotes; one within a name is written twice.");
  take_line();
  return entries;
}

std::vector<std::string> read_table_list(const std::string &path) {
  if (path == "-")
    return parse_table_list(read_all(std::cin), path);
  std::ifstream file(path, std::ios::binary);
  std::string text = file ? read_all(file) : std::string();
  if (!file)
    throw usage_failure(
        fmt::format("could not read table list \"{}\": {}", path, std::strerror(errno)),
        "Give a file with one TABLE[=TARGET_TABLE] or pattern a line.");
  return parse_table_list(text, path);
}

} // namespace parallel_loader
