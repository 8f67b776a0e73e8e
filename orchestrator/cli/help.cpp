#include "orchestrator/cli/help.hpp"

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/cli/option_table.hpp"
#include "orchestrator/display/report.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace parallel_loader {

namespace {

constexpr std::string_view kPurpose =
    "parallel-loader copies tables from one PostgreSQL server into another: the\n"
    "destination server pulls many ranges of a table at once, straight from the\n"
    "source.\n";

constexpr std::string_view kCopyPurpose =
    "parallel-loader copy loads one table of a source server into an existing table\n"
    "of a destination server that has the extension parallel_loader.\n";

constexpr std::string_view kExample =
    "parallel-loader copy -s service=old -d service=new --jobs 8 sales.orders";

constexpr std::string_view kUsage = "parallel-loader copy [OPTION]... TABLE[=TARGET_TABLE]";

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<Pair, 2> kArguments{{
    {"TABLE", "table on the source, quoted as in SQL: orders, sales.orders, '\"Odd Name\"'"},
    {"TARGET_TABLE", "table on the destination (default: the same name)"},
}};

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

std::string option_names(const OptionSpec &spec) {
  return (spec.letter == 0 ? "    " : fmt::format("-{}, ", spec.letter)) +
         fmt::format("--{}", spec.name) +
         (spec.value.empty() ? "" : fmt::format("={}", spec.value));
}

std::string option_words(const OptionSpec &spec) {
  return std::string(spec.summary) +
         (spec.fallback.empty() ? "" : fmt::format(" (default: {})", spec.fallback));
}

std::string option_entries() {
  constexpr size_t kIndent = 30;
  std::string text;
  std::string_view group;
  for (const OptionSpec &spec : copy_option_table()) {
    if (spec.group != group)
      text += fmt::format("\n{}:\n", spec.group);
    group = spec.group;
    text += entry(option_names(spec), option_words(spec), kIndent);
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

/// For a cell of a table.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char letter : text)
    result += letter == '|' ? "\\|" : std::string(1, letter);
  return result;
}

std::string option_tables() {
  std::string text;
  std::string_view group;
  for (const OptionSpec &spec : copy_option_table()) {
    if (spec.group != group)
      text +=
          fmt::format("\n### {}\n\n| option | meaning | default |\n|---|---|---|\n", spec.group);
    group = spec.group;
    const std::string letter = spec.letter == 0 ? "" : fmt::format("`-{}`, ", spec.letter);
    const std::string value = spec.value.empty() ? "" : fmt::format("={}", spec.value);
    const std::string fallback = spec.environment.empty() ? std::string(spec.fallback)
                                                          : fmt::format("${}", spec.environment);
    text += fmt::format("| {}`--{}{}` | {} | {} |\n", letter, spec.name, escaped(value),
                        escaped(spec.summary), escaped(fallback));
  }
  return text;
}

constexpr std::string_view kBehaviour = R"(
## What it does

1. The program connects to the source and finds the table. If `--start` or `--end` is given, the source
   reads them as values of the key. Times without a zone are UTC, dates are month first.
2. The program connects to the destination and plans the pull with `parallel_pull_create`. It passes the
   resolved connection of the source once, as a parameter of that call. The destination server connects to
   the source, so the host name must be valid there. If it is not, use `--source-on-target`.
3. `--jobs` sessions on the destination call `parallel_pull_work`. Each takes one chunk after the other.
   A chunk is one transaction.

The first Ctrl-C (or SIGTERM) cancels the pull and shows what is done. Chunks that are done stay in the
table. The second one ends the program within a second and shows nothing.

Put passwords into the [password file](https://www.postgresql.org/docs/current/libpq-pgpass.html) or a
service file. Other users of the machine can see those in `--source` and `--target` in the list of
processes. The program neither shows nor logs passwords. If the destination server logs statements with
their parameters (`log_statement`, `log_min_duration_statement`), it logs the password of the source,
unless the user of `--target` is a superuser. To avoid that, name a foreign server with a user mapping in
`--source-on-target`.

## Output

Results go to standard output. Everything else goes to standard error. Without `--json`, the result is the
command tag, `COPY` and the number of rows, once the whole table is loaded. With `--json`, it is one
document on one line, also if the run failed:

)";

} // namespace

std::string main_help() {
  std::string text = std::string(kPurpose) + "\nExample:\n  " + std::string(kExample) +
                     "\n\nUsage:\n  parallel-loader COMMAND [OPTION]... [ARGUMENT]...\n";
  text += "\nCommands:\n" + entry("copy", "load one table", 19) + "\nOptions:\n" +
          entry("-V, --version", "show the version", 19) +
          entry("-?, --help", "show this help; after a command: the help of that command", 19);
  return text + closing_sections();
}

std::string copy_help() {
  std::string text = std::string(kCopyPurpose) + "\nExample:\n  " + std::string(kExample) +
                     "\n\nUsage:\n  " + std::string(kUsage) + "\n\nArguments:\n";
  for (const auto &[name, meaning] : kArguments)
    text += entry(name, meaning, 18);
  return text + option_entries() + closing_sections();
}

std::string help_markdown() {
  std::string text = fmt::format("# parallel-loader\n\n"
                                 "<!-- made by `parallel-loader --help-markdown`: change "
                                 "orchestrator/cli/option_table.cpp or help.cpp instead -->\n\n"
                                 "{}\n```\n{}\n```\n\n## Usage\n\n```\n{}\n```\n",
                                 kPurpose, kExample, kUsage);
  text += "\n| argument | meaning |\n|---|---|\n";
  for (const auto &[name, meaning] : kArguments)
    text += fmt::format("| `{}` | {} |\n", name, escaped(meaning));
  text += "\n`parallel-loader --version` shows the version, `parallel-loader --help` and\n"
          "`parallel-loader copy --help` show help (`-h` does not: it is no option).\n";
  text += "\n## Options\n" + option_tables() + std::string(kBehaviour);
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
