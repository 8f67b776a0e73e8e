#include "orchestrator/cli/help.hpp"

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/cli/definition_view.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace parallel_loader {

namespace {

constexpr size_t kWidth = 80;

/// Breaks `text` at spaces into lines of at most `width` columns, the second and later ones behind
/// `indent` spaces.
std::string wrap(std::string_view text, size_t indent, size_t width) {
  std::string result;
  size_t column = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (column > 0 && column + 1 + text_width(word) > width) {
      result += '\n' + std::string(indent, ' ');
      column = 0;
    }
    if (column > 0) {
      result += ' ';
      ++column;
    }
    result += word;
    column += text_width(word);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

/// One entry: its name on the left, wrapped words from column `indent` on.
std::string entry(std::string_view name, std::string_view words, size_t indent) {
  std::string line = "  " + std::string(name);
  if (line.size() + 1 >= indent)
    line += '\n' + std::string(indent, ' ');
  else
    line = pad_right(line, indent);
  return line + wrap(words, indent, kWidth - indent) + '\n';
}

std::string option_words(const CLI::Option &option) {
  return option.get_description() + (option.get_default_str().empty()
                                         ? ""
                                         : fmt::format(" (default: {})", option.get_default_str()));
}

std::string option_entries(const DefinitionView &view, Command command) {
  constexpr size_t kIndent = 30;
  std::string text;
  for (const OptionGroup &group : view.groups(command)) {
    text += fmt::format("\n{}:\n", group.heading);
    for (const CLI::Option *const option : group.options)
      text += entry(option_names(*option), option_words(*option), kIndent);
  }
  return text;
}

std::string closing_sections() {
  std::string text = "\nEnvironment:\n";
  for (const auto &[name, meaning] : kEnvironment)
    text += entry(name, meaning, 36);
  text += "\nExit status:\n";
  for (const ExitStatusDoc &doc : kExitStatuses)
    text += entry(fmt::format("{:>3}", static_cast<int>(doc.status)), doc.meaning, 7);
  return text;
}

std::string opening(const CommandText &words) {
  return fmt::format("Example:\n  {}\n\nUsage:\n  {}\n", example_line(words), usage_line(words));
}

std::string commands() {
  std::string text =
      fmt::format("Example:\n  {}\n\nUsage:\n  parallel-loader COMMAND [OPTION]... [ARGUMENT]...\n"
                  "\nCommands:\n",
                  example_line(command_text(Command::kCopy)));
  for (const CommandText &command : command_texts())
    text += entry(command.name, command.summary, 19);
  return text;
}

/// `-j|--jobs=N`, of which several share a line.
std::string short_names(const CLI::Option &option) {
  const std::string letter =
      option.get_snames().empty() ? "" : fmt::format("-{}", option.get_snames().front());
  const std::string name = long_name(option);
  // A blank would end it at the end of a line.
  return letter + (letter.empty() || name.empty() ? "" : "|") + name + value_of(option);
}

} // namespace

std::string main_help() {
  constexpr size_t kIndent = 19;
  return wrap(kPurpose, 0, kWidth) + "\n\n" + commands() + "\nOptions:\n" +
         entry("-V, --version", "show the version", kIndent) +
         entry("--help", "show this help; after a command: the help of that command", kIndent) +
         entry("-?", "the same in short", kIndent) + closing_sections();
}

std::string command_help(Command command) {
  const DefinitionView view;
  const CommandText &words = command_text(command);
  std::string text = wrap(words.purpose, 0, kWidth) + "\n\n" + opening(words);
  if (!view.arguments(command).empty())
    text += "\nArguments:\n";
  for (const CLI::Option *const argument : view.arguments(command))
    text += entry(argument->get_name(), argument->get_description(), 18);
  return text + option_entries(view, command) + closing_sections();
}

std::string main_usage() {
  return commands() + "\nMore: parallel-loader --help, parallel-loader COMMAND --help\n";
}

std::string command_usage(Command command) {
  const DefinitionView view;
  const CommandText &words = command_text(command);
  std::string text = opening(words) + "\nOptions:\n";
  for (const OptionGroup &group : view.groups(command)) {
    std::string names;
    for (const CLI::Option *const option : group.options)
      names += (names.empty() ? "" : " ") + short_names(*option);
    text += entry(group.heading, names, 15);
  }
  return text + fmt::format("\nMore: parallel-loader {} --help\n", words.name);
}

} // namespace parallel_loader
