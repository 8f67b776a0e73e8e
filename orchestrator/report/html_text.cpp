#include "orchestrator/report/html_text.hpp"

#include "orchestrator/base/text.hpp"
#include "orchestrator/base/utf8.hpp"
#include "orchestrator/run/run_figures.hpp"

namespace parallel_loader {

namespace {

std::string_view escaped(const Utf8Char &character) {
  switch (character.code) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&#39;";
  case '\n':
    return "\n";
  default:
    return !character.is_valid || is_control(character) ? "?" : character.bytes;
  }
}

} // namespace

std::string html_text(std::string_view text) {
  std::string result;
  result.reserve(text.size() + text.size() / 8);
  while (!text.empty())
    result += escaped(take_char(text));
  return result;
}

std::string html_name(std::string_view name) {
  return "<bdi>" + html_text(printable(name)) + "</bdi>";
}

std::string html_label(const PullView &pull) {
  if (pull.source_table.empty() || pull.table.empty() || pull.table == pull.source_table)
    return html_name(label_of(pull));
  return html_name(pull.source_table) + " → " + html_name(pull.table);
}

std::string html_count(int64_t count) {
  constexpr std::string_view kNarrowSpace = "\u202F"; // no line ends at it
  std::string result;
  for (const char letter : format_count(count))
    if (letter == ' ')
      result += kNarrowSpace;
    else
      result += letter;
  return result;
}

} // namespace parallel_loader
