// manual_markdown: the page docs/cli.md.
#include "orchestrator/cli/manual.hpp"

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/cli/definition_view.hpp"

#include <fmt/format.h>

namespace parallel_loader {

namespace {

/// For a cell of a table.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char letter : text)
    result += letter == '|' ? "\\|" : std::string(1, letter);
  return result;
}

std::string names_cell(const CLI::Option &option) {
  const std::string name = long_name(option) + escaped(value_of(option));
  if (option.get_snames().empty())
    return fmt::format("`{}`", name);
  const std::string letter = fmt::format("`-{}`", option.get_snames().front());
  return name.empty() ? letter : fmt::format("{}, `{}`", letter, name);
}

std::string option_table(const std::vector<OptionGroup> &groups) {
  std::string text = "\n| option | meaning | default |\n|---|---|---|\n";
  for (const OptionGroup &group : groups) {
    text += fmt::format("| **{}** | | |\n", group.heading);
    for (const CLI::Option *const option : group.options)
      text +=
          fmt::format("| {} | {} | {} |\n", names_cell(*option), escaped(option->get_description()),
                      option->get_envname().empty() ? escaped(option->get_default_str())
                                                    : fmt::format("${}", option->get_envname()));
  }
  return text;
}

std::string command_section(const CommandText &words, const DefinitionView &view) {
  std::string text = fmt::format("\n## {}\n\n{}\n\n```\n{}\n```\n\nExample:\n\n```\n{}\n```\n",
                                 words.name, words.purpose, usage_line(words), example_line(words));
  if (!words.behavior.empty())
    text += fmt::format("\n{}", words.behavior);
  if (const auto arguments = view.arguments(words.command); !arguments.empty()) {
    text += "\n| argument | meaning |\n|---|---|\n";
    for (const CLI::Option *const argument : arguments)
      text += fmt::format("| `{}` | {} |\n", argument->get_name(),
                          escaped(argument->get_description()));
  }
  return text + option_table(view.groups(words.command));
}

} // namespace

std::string manual_markdown() {
  const DefinitionView view;
  std::string text = fmt::format("# parallel-loader\n\n"
                                 "<!-- made by `parallel-loader generate markdown`: change "
                                 "orchestrator/cli/ instead -->\n\n{}\n\n"
                                 "| command | does |\n|---|---|\n",
                                 kPurpose);
  for (const CommandText &command : command_texts())
    text += fmt::format("| [`{0}`](#{0}) | {1} |\n", command.name, command.summary);
  text +=
      "\n`parallel-loader --help` and `parallel-loader COMMAND --help` show help, `-?` the same in "
      "short\n(`-h` does not: it is no option). `parallel-loader --version` shows the version.\n";
  text += fmt::format("\n## Connections\n\n{}\n## Configuration file\n\n{}\n```toml\n{}```\n"
                      "\n## Output\n\n{}",
                      connection_text(), config_text(), config_example(), output_text());
  for (const CommandText &command : command_texts())
    text += command_section(command, view);
  text += "\n## Environment\n\n| variable | meaning |\n|---|---|\n";
  for (const auto &[name, meaning] : kEnvironment)
    text += fmt::format("| `{}` | {} |\n", name, meaning);
  text += "\n## Exit status\n\n| status | meaning |\n|---|---|\n";
  for (const ExitStatusDoc &doc : kExitStatuses)
    text += fmt::format("| {} | {} |\n", static_cast<int>(doc.status), doc.meaning);
  return text;
}

} // namespace parallel_loader
