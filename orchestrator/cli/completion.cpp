#include "orchestrator/cli/completion.hpp"

#include "orchestrator/cli/definition_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace parallel_loader {

namespace {

/// `-j`, `--jobs`, `--no-sequences`.
std::vector<std::string> words_of(const CLI::Option &option) {
  std::vector<std::string> words;
  for (const std::string &letter : option.get_snames())
    words.push_back('-' + letter);
  for (const std::string &name : option.get_lnames())
    words.push_back("--" + name);
  return words;
}

std::string joined(const std::vector<std::string> &words, std::string_view separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

std::vector<const CLI::Option *> options_of(const DefinitionView &view, Command command) {
  std::vector<const CLI::Option *> options;
  for (const OptionGroup &group : view.groups(command))
    options.insert(options.end(), group.options.begin(), group.options.end());
  return options;
}

bool takes_file(const CLI::Option &option) {
  return takes_value(option) && option.get_type_name() == "FILE";
}

/// The first value of `--key-for`, and TABLE itself.
bool takes_table(const CLI::Option &option) {
  return option.get_type_name().starts_with("TABLE ");
}

bool has_tables(const DefinitionView &view, Command command) {
  const auto arguments = view.arguments(command);
  return std::ranges::any_of(arguments,
                             [](const auto *argument) { return argument->get_name() == "TABLE"; });
}

/// For single quotes of a shell, with `special` characters behind backslashes.
std::string quoted(std::string_view text, std::string_view special = "") {
  std::string result;
  for (const char c : text)
    if (c == '\'')
      result += "'\\''";
    else if (special.find(c) != std::string_view::npos)
      result += fmt::format("\\{}", c);
    else
      result += c;
  return result;
}

std::string escaped_for_fish(std::string_view text) {
  std::string result;
  for (const char c : text)
    result += c == '\'' || c == '\\' ? fmt::format("\\{}", c) : std::string(1, c);
  return result;
}

using Filling = std::pair<std::string_view, std::string>;

/// `script` with each mark replaced, each of which stands in it once.
std::string filled(std::string_view script, std::initializer_list<Filling> fillings) {
  std::string text(script);
  for (const auto &[mark, filling] : fillings)
    text.replace(text.find(mark), mark.size(), filling);
  return text;
}

constexpr std::string_view kBash =
    R"script(# bash completion for parallel-loader; made by `parallel-loader generate bash`

_parallel_loader_tables() {
  local IFS=$'\n' name
  local words
  # xargs reads quotes as the shell does, and runs nothing.
  words=($(xargs printf '%s\n' <<<"${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
  COMPREPLY=()
  for name in $("${COMP_WORDS[0]}" complete-tables "$cur" "${words[@]:1}" 2>/dev/null </dev/null); do
    COMPREPLY+=("$(printf '%q' "$name")")
  done
}

_parallel_loader() {
  local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} options= tables=no
  COMPREPLY=()
  # The shell takes = for a word of its own.
  if [ "$cur" = '=' ]; then
    cur=
  elif [ "$option" = '=' ]; then
    option=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W '@COMMANDS@ --help --version' -- "$cur"))
    return
  fi
  case $option in
@VALUES@  esac
  case ${COMP_WORDS[1]} in
@OPTIONS@  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
  elif [ "$tables" = yes ]; then
    _parallel_loader_tables
  fi
}

complete -F _parallel_loader parallel-loader
)script";

/// One line of a `case` for each kind of value; options of all commands, each once.
std::string bash_values(const DefinitionView &view) {
  std::string text;
  std::set<std::string> done;
  for (const CommandText &command : command_texts())
    for (const CLI::Option *const option : options_of(view, command.command)) {
      const std::string words = joined(words_of(*option), "|");
      if (!takes_value(*option) || !done.insert(words).second)
        continue;
      const auto choices = choices_of(*option);
      text += fmt::format("    {}) ", words);
      if (!choices.empty())
        text += fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$cur\"))", joined(choices, " "));
      else if (takes_file(*option))
        text += "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\"))";
      else if (takes_table(*option))
        text += "_parallel_loader_tables";
      text += fmt::format("{}return ;;\n", text.ends_with(") ") ? "" : "; ");
    }
  return text;
}

} // namespace

std::string bash_completion() {
  const DefinitionView view;
  std::string names;
  std::string options;
  for (const CommandText &command : command_texts()) {
    names += (names.empty() ? "" : " ") + std::string(command.name);
    std::string words;
    for (const CLI::Option *const option : options_of(view, command.command))
      words += (words.empty() ? "" : " ") + joined(words_of(*option), " ");
    options += fmt::format("    {}) options='{}'; tables={} ;;\n", command.name, words,
                           has_tables(view, command.command) ? "yes" : "no");
  }
  return filled(kBash,
                {{"@COMMANDS@", names}, {"@VALUES@", bash_values(view)}, {"@OPTIONS@", options}});
}

namespace {

/// `'(-j --jobs)'{-j+,--jobs=}'[words]:N:'`.
std::string zsh_option(const CLI::Option &option) {
  std::vector<std::string> words = words_of(option);
  const std::string all = joined(words, " ");
  if (takes_value(option) && !takes_table(option))
    for (std::string &word : words)
      word += word.starts_with("--") ? "=" : "+";
  const std::string names =
      words.size() == 1 ? words.front() : fmt::format("'{{{}}}'", joined(words, ","));
  std::string value;
  if (const auto choices = choices_of(option); !choices.empty())
    value = fmt::format(":value:({})", joined(choices, " "));
  else if (takes_file(option))
    value = ":file:_files";
  else if (takes_table(option))
    value = ":table:_parallel_loader_tables:value:";
  else if (takes_value(option))
    value = fmt::format(":{}:", option.get_type_name());
  // Those that may be given again are not used up.
  const bool is_repeatable = option.get_items_expected_max() > option.get_type_size();
  return fmt::format("'{}{}[{}]{}'", is_repeatable ? "*" : fmt::format("({})", all), names,
                     quoted(option.get_description(), "[]:"), value);
}

constexpr std::string_view kZsh = R"script(#compdef parallel-loader
# zsh completion for parallel-loader; made by `parallel-loader generate zsh`

_parallel_loader_tables() {
  local -a tables
  tables=("${(@f)$(parallel-loader complete-tables "${(Q)PREFIX}" "${(@Q)parallel_loader_words[2,-1]}" 2>/dev/null </dev/null)}")
  [[ -n $tables[1] ]] && compadd -- $tables
}

_parallel_loader() {
  local -a commands parallel_loader_words
  parallel_loader_words=("${words[@]}")
  commands=(
@COMMANDS@  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
@OPTIONS@  esac
}

_parallel_loader "$@"
)script";

} // namespace

std::string zsh_completion() {
  const DefinitionView view;
  std::string names;
  std::string cases;
  for (const CommandText &command : command_texts()) {
    names += fmt::format("    '{}:{}'\n", command.name, quoted(command.summary));
    cases += fmt::format("    {})\n      _arguments -S", command.name);
    for (const CLI::Option *const option : options_of(view, command.command))
      cases += fmt::format(" \\\n        {}", zsh_option(*option));
    cases += fmt::format(" \\\n        {} ;;\n", has_tables(view, command.command)
                                                     ? "'*:table:_parallel_loader_tables'"
                                                     : "'*: :'");
  }
  return filled(kZsh, {{"@COMMANDS@", names}, {"@OPTIONS@", cases}});
}

namespace {

std::string fish_option(const CLI::Option &option, std::string_view command) {
  std::string text =
      fmt::format("complete -c parallel-loader -n '__fish_seen_subcommand_from {}'", command);
  for (const std::string &letter : option.get_snames())
    text += fmt::format(" -s '{}'", letter);
  for (const std::string &name : option.get_lnames())
    text += fmt::format(" -l {}", name);
  if (const auto choices = choices_of(option); !choices.empty())
    text += fmt::format(" -x -a '{}'", joined(choices, " "));
  else if (takes_file(option))
    text += " -r -F";
  else if (takes_table(option))
    text += " -x -a '(__parallel_loader_tables)'";
  else if (takes_value(option))
    text += " -x";
  return fmt::format("{} -d '{}'\n", text, escaped_for_fish(option.get_description()));
}

constexpr std::string_view kFish =
    R"script(# fish completion for parallel-loader; made by `parallel-loader generate fish`

function __parallel_loader_tables
    set -l words (commandline -opc)
    parallel-loader complete-tables (commandline -ct) $words[2..-1] 2>/dev/null </dev/null
end

complete -c parallel-loader -f
complete -c parallel-loader -n __fish_use_subcommand -l help -d 'show help'
complete -c parallel-loader -n __fish_use_subcommand -l version -d 'show the version'
)script";

} // namespace

std::string fish_completion() {
  const DefinitionView view;
  std::string text(kFish);
  for (const CommandText &command : command_texts()) {
    text += fmt::format("complete -c parallel-loader -n __fish_use_subcommand -a {} -d '{}'\n",
                        command.name, escaped_for_fish(command.summary));
    for (const CLI::Option *const option : options_of(view, command.command))
      text += fish_option(*option, command.name);
    if (has_tables(view, command.command))
      text += fmt::format("complete -c parallel-loader -n '__fish_seen_subcommand_from {}' "
                          "-a '(__parallel_loader_tables)'\n",
                          command.name);
  }
  return text;
}

} // namespace parallel_loader
