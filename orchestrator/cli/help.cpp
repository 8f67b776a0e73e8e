#include "orchestrator/cli/help.hpp"

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/cli/command_text.hpp"
#include "orchestrator/cli/definition.hpp"
#include "orchestrator/display/report.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

namespace parallel_loader {

namespace {

constexpr std::string_view kPurpose =
    "parallel-loader copies tables from one PostgreSQL server into another: the\n"
    "destination server pulls many ranges of a table at once, straight from the\n"
    "source.\n";

constexpr std::string_view kExample =
    "parallel-loader copy -s service=old -d service=new --jobs 8 sales.orders";

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<Pair, 5> kEnvironment{{
    {"PARALLEL_LOADER_SOURCE", "--source, where it is not given"},
    {"PARALLEL_LOADER_TARGET", "--target, where it is not given"},
    {"PGPASSFILE, PGSERVICEFILE, PG...", "as for psql, for both connections"},
    {"NO_COLOR", "no color, if it is not empty"},
    {"TERM=dumb", "no color and no bar"},
}};

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
  constexpr size_t kWidth = 80;
  std::string line = "  " + std::string(name);
  if (line.size() + 1 >= indent)
    line += '\n' + std::string(indent, ' ');
  else
    line = pad_right(line, indent);
  return line + wrap(words, indent, kWidth - indent) + '\n';
}

/// The definition, to be read only.
class Definition {
public:
  Definition() : app_(define_command_line(options_)) {}

  [[nodiscard]] const CLI::App &app() const { return *app_; }
  [[nodiscard]] const CLI::App &command(Command command) const {
    return *app_->get_subcommand(std::string(command_name(command)));
  }

private:
  Options options_;
  std::unique_ptr<CLI::App> app_;
};

/// Options of a command by group, in the order of their definition; the group that an option was
/// first put into stays whole.
std::vector<std::pair<std::string, std::vector<const CLI::Option *>>>
options_by_group(const CLI::App &command) {
  std::vector<std::pair<std::string, std::vector<const CLI::Option *>>> groups;
  for (const CLI::Option *const option : command.get_options()) {
    if (option->get_positional() || option->get_group().empty())
      continue;
    auto group =
        std::ranges::find(groups, option->get_group(), [](auto &each) { return each.first; });
    if (group == groups.end())
      group = groups.insert(groups.end(), {option->get_group(), {}});
    group->second.push_back(option);
  }
  // The help flag is defined before all others.
  std::ranges::stable_partition(groups, [](const auto &group) { return group.first != "Other"; });
  return groups;
}

std::vector<const CLI::Option *> positionals(const CLI::App &command) {
  return command.get_options([](const CLI::Option *option) { return option->get_positional(); });
}

bool takes_value(const CLI::Option &option) {
  return option.get_items_expected_max() > 0;
}

/// `--jobs`; `--[no-]sequences`.
std::string long_name(const CLI::Option &option) {
  const auto &names = option.get_lnames();
  return names.size() == 2 ? "--[no-]" + names.front() : "--" + names.front();
}

std::string value_of(const CLI::Option &option) {
  if (!takes_value(option))
    return "";
  return (option.get_type_size() > 1 ? " " : "=") + option.get_type_name();
}

std::string option_names(const CLI::Option &option) {
  const std::string letter =
      option.get_snames().empty() ? "    " : fmt::format("-{}, ", option.get_snames().front());
  return letter + long_name(option) + value_of(option);
}

std::string option_words(const CLI::Option &option) {
  return option.get_description() + (option.get_default_str().empty()
                                         ? ""
                                         : fmt::format(" (default: {})", option.get_default_str()));
}

std::string option_entries(const CLI::App &command) {
  constexpr size_t kIndent = 30;
  std::string text;
  for (const auto &[group, options] : options_by_group(command)) {
    text += fmt::format("\n{}:\n", group);
    for (const CLI::Option *const option : options)
      text += entry(option_names(*option), option_words(*option), kIndent);
  }
  return text;
}

std::string usage(const CommandText &text) {
  return fmt::format("parallel-loader {} [OPTION]...{}{}", text.name,
                     text.arguments.empty() ? "" : " ", text.arguments);
}

std::string example(const CommandText &text) {
  return fmt::format("parallel-loader {}", text.example);
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

/// For a cell of a table.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char letter : text)
    result += letter == '|' ? "\\|" : std::string(1, letter);
  return result;
}

std::string option_tables(const CLI::App &command) {
  std::string text;
  for (const auto &[group, options] : options_by_group(command)) {
    text += fmt::format("\n#### {}\n\n| option | meaning | default |\n|---|---|---|\n", group);
    for (const CLI::Option *const option : options) {
      const std::string letter =
          option->get_snames().empty() ? "" : fmt::format("`-{}`, ", option->get_snames().front());
      const std::string fallback = option->get_envname().empty()
                                       ? option->get_default_str()
                                       : fmt::format("${}", option->get_envname());
      text += fmt::format("| {}`{}{}` | {} | {} |\n", letter, long_name(*option),
                          escaped(value_of(*option)), escaped(option->get_description()),
                          escaped(fallback));
    }
  }
  return text;
}

std::string command_markdown(const CommandText &text, const CLI::App &command) {
  std::string page = fmt::format("\n## {}\n\n{}\n\n```\n{}\n```\n\n```\n{}\n```\n", text.name,
                                 text.purpose, usage(text), example(text));
  if (!text.behavior.empty())
    page += fmt::format("\n{}", text.behavior);
  if (!positionals(command).empty())
    page += "\n| argument | meaning |\n|---|---|\n";
  for (const CLI::Option *const argument : positionals(command))
    page +=
        fmt::format("| `{}` | {} |\n", argument->get_name(), escaped(argument->get_description()));
  return page + option_tables(command);
}

constexpr std::string_view kManners = R"(
## Connections

Put passwords into the [password file](https://www.postgresql.org/docs/current/libpq-pgpass.html) or a
service file. Other users of the machine can see those in `--source` and `--target` in the list of
processes. The program neither shows nor logs passwords. If the destination server logs statements with
their parameters (`log_statement`, `log_min_duration_statement`), it logs the password of the source,
unless the user of `--target` is a superuser. To avoid that, name a foreign server with a user mapping in
`--source-on-target`.

## Output

Results go to standard output. Everything else goes to standard error. Without `--json`, the result of `copy`
is the command tag, `COPY` and the number of rows, once the whole table is loaded. With `--json`, it is one
document on one line, also if the run failed:

)";

} // namespace

std::string main_help() {
  constexpr size_t kIndent = 19;
  std::string text = std::string(kPurpose) + "\nExample:\n  " + std::string(kExample) +
                     "\n\nUsage:\n  parallel-loader COMMAND [OPTION]... [ARGUMENT]...\n";
  text += "\nCommands:\n";
  for (const CommandText &command : command_texts())
    text += entry(command.name, command.summary, kIndent);
  text += "\nOptions:\n" + entry("-V, --version", "show the version", kIndent) +
          entry("-?, --help", "show this help; after a command: the help of that command", kIndent);
  return text + closing_sections();
}

std::string command_help(Command command) {
  const Definition definition;
  const CommandText &words = command_text(command);
  const CLI::App &app = definition.command(command);
  constexpr size_t kWidth = 80;
  std::string text = wrap(words.purpose, 0, kWidth) + "\n\nExample:\n  " + example(words) +
                     "\n\nUsage:\n  " + usage(words) + '\n';
  if (!positionals(app).empty())
    text += "\nArguments:\n";
  for (const CLI::Option *const argument : positionals(app))
    text += entry(argument->get_name(), argument->get_description(), 18);
  return text + option_entries(app) + closing_sections();
}

std::string help_markdown() {
  const Definition definition;
  std::string text = fmt::format("# parallel-loader\n\n"
                                 "<!-- made by `parallel-loader --help-markdown`: change "
                                 "orchestrator/cli/definition.cpp, command_text.cpp or help.cpp "
                                 "instead -->\n\n{}\n```\n{}\n```\n\n"
                                 "| command | does |\n|---|---|\n",
                                 kPurpose, kExample);
  for (const CommandText &command : command_texts())
    text += fmt::format("| [`{0}`](#{0}) | {1} |\n", command.name, command.summary);
  text += "\n`parallel-loader --version` shows the version, `parallel-loader --help` and\n"
          "`parallel-loader COMMAND --help` show help (`-h` does not: it is no option).\n";
  for (const CommandText &command : command_texts())
    text += command_markdown(command, definition.command(command.command));
  text += kManners;
  text += "| key | type | meaning |\n|---|---|---|\n";
  for (const JsonField &field : json_fields())
    text += fmt::format("| `{}` | {} | {} |\n", field.key, field.type, escaped(field.meaning));
  text += "\n## Environment\n\n| variable | meaning |\n|---|---|\n";
  for (const auto &[name, meaning] : kEnvironment)
    text += fmt::format("| `{}` | {} |\n", name, meaning);
  text += "\n## Exit status\n\n| status | meaning |\n|---|---|\n";
  for (const ExitStatusDoc &doc : kExitStatuses)
    text += fmt::format("| {} | {} |\n", static_cast<int>(doc.status), doc.meaning);
  return text;
}

} // namespace parallel_loader
