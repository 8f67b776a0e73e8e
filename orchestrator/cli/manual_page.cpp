// manual_page: the manual page, parallel-loader(1).
#include "orchestrator/cli/manual.hpp"

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/cli/definition_view.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace parallel_loader {

namespace {

/// As text of roff: no command at the start of a line, no escape.
std::string plain(std::string_view text) {
  std::string result;
  for (const char c : text)
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else if ((c == '.' || c == '\'') && (result.empty() || result.back() == '\n'))
      result += fmt::format("\\&{}", c);
    else
      result += c;
  return result;
}

/// The text of a link in place of `[text](address)`.
std::string without_links(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t open = text.find('[');
    const size_t middle = text.find("](", std::min(open, text.size()));
    const size_t close = text.find(')', std::min(middle, text.size()));
    if (open == std::string_view::npos || close == std::string_view::npos)
      break;
    result += text.substr(0, open);
    result += text.substr(open + 1, middle - open - 1);
    text.remove_prefix(close + 1);
  }
  return result.append(text);
}

/// `code` in bold.
std::string with_code(std::string_view text) {
  std::string result;
  bool is_code = false;
  for (const char c : text)
    if (c == '`') {
      result += is_code ? "\\fR" : "\\fB";
      is_code = !is_code;
    } else {
      result += c;
    }
  return result;
}

/// Paragraphs and numbered ones.
std::string prose(std::string_view markdown) {
  const std::string text = with_code(plain(without_links(markdown)));
  std::string result;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (line.empty())
      result += ".PP";
    else if (line.size() > 3 && line[0] >= '1' && line[0] <= '9' && line.substr(1, 2) == ". ")
      result += fmt::format(".IP {} 3\n{}", line.substr(0, 2), line.substr(3));
    else
      result += line;
    result += '\n';
  }
  return result;
}

std::string tagged(std::string_view tag, std::string_view text) {
  return fmt::format(".TP\n\\fB{}\\fR\n{}\n", plain(tag), plain(text));
}

std::string option_entry(const CLI::Option &option) {
  std::string text = option.get_description() + '.';
  if (!option.get_default_str().empty())
    text += fmt::format(" Default: {}.", option.get_default_str());
  if (!option.get_envname().empty())
    text += fmt::format(" Without it: ${}.", option.get_envname());
  const std::string names = option_names(option);
  return tagged(names.substr(names.find_first_not_of(' ')), text);
}

std::string section_of(const CommandText &words, const DefinitionView &view) {
  std::string text = fmt::format(".SS {}\n.B {}\n.PP\n{}\n", words.name, plain(usage_line(words)),
                                 plain(words.purpose));
  if (!words.behavior.empty())
    text += ".PP\n" + prose(words.behavior);
  text += fmt::format(".PP\nExample: \\fB{}\\fR\n", plain(example_line(words)));
  for (const CLI::Option *const argument : view.arguments(words.command))
    text += tagged(argument->get_name(), argument->get_description() + '.');
  for (const OptionGroup &group : view.groups(words.command))
    for (const CLI::Option *const option : group.options)
      text += option_entry(*option);
  return text;
}

} // namespace

std::string manual_page() {
  const DefinitionView view;
  std::string text = fmt::format(
      ".TH PARALLEL-LOADER 1 \"\" \"Parallel Loader\"\n.SH NAME\n"
      "parallel\\-loader \\- copy tables between PostgreSQL servers in parallel\n.SH SYNOPSIS\n"
      ".B parallel\\-loader \\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n"
      ".SH DESCRIPTION\n{}\n.SH COMMANDS\n",
      plain(kPurpose));
  for (const CommandText &command : command_texts())
    text += section_of(command, view);
  text += fmt::format(".SH CONNECTIONS\n{}.SH CONFIGURATION FILE\n{}.PP\n.nf\n{}.fi\n.SH OUTPUT\n{}"
                      ".SH ENVIRONMENT\n",
                      prose(connection_text()), prose(config_text()), plain(config_example()),
                      prose(output_text()));
  for (const auto &[name, meaning] : kEnvironment)
    text += tagged(name, meaning);
  text += ".SH EXIT STATUS\n";
  for (const ExitStatusDoc &doc : kExitStatuses)
    text += tagged(fmt::format("{}", static_cast<int>(doc.status)), doc.meaning);
  return text + ".SH SEE ALSO\n.BR psql (1),\n.BR pg_dump (1)\n";
}

} // namespace parallel_loader
