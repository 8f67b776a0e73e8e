#include "orchestrator/cli/definition_view.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace parallel_loader {

namespace {

OptionGroup &group_of(std::vector<OptionGroup> &groups, const std::string &heading) {
  const auto found = std::ranges::find(groups, heading, &OptionGroup::heading);
  return found != groups.end() ? *found : groups.emplace_back(OptionGroup{heading, {}});
}

} // namespace

std::vector<OptionGroup> DefinitionView::groups(Command which) const {
  std::vector<OptionGroup> groups;
  const CLI::App &app = command(which);
  for (const CLI::Option *const option : app.get_options())
    if (!option->get_positional() && !option->get_group().empty())
      group_of(groups, option->get_group()).options.push_back(option);
  const CLI::Option *const config = app_->get_config_ptr();
  group_of(groups, config->get_group()).options.push_back(config);
  // The help flag is defined before all others.
  std::stable_partition(groups.begin(), groups.end(),
                        [](const OptionGroup &group) { return group.heading != "Other"; });
  return groups;
}

std::vector<const CLI::Option *> DefinitionView::arguments(Command which) const {
  return command(which).get_options(
      [](const CLI::Option *option) { return option->get_positional(); });
}

bool takes_value(const CLI::Option &option) {
  return option.get_items_expected_max() > 0;
}

std::vector<std::string> choices_of(const CLI::Option &option) {
  const std::string type = option.get_type_name();
  const bool is_choice = takes_value(option) && type.find('|') != std::string::npos &&
                         std::ranges::none_of(type, [](char c) { return c >= 'A' && c <= 'Z'; });
  return is_choice ? CLI::detail::split(type, '|') : std::vector<std::string>();
}

std::string long_name(const CLI::Option &option) {
  const auto &names = option.get_lnames();
  if (names.empty())
    return "";
  return (names.size() == 2 ? "--[no-]" : "--") + names.front();
}

std::string value_of(const CLI::Option &option) {
  if (!takes_value(option))
    return "";
  return (option.get_type_size() > 1 ? " " : "=") + option.get_type_name();
}

std::string option_names(const CLI::Option &option) {
  const std::string name = long_name(option) + value_of(option);
  if (option.get_snames().empty())
    return "    " + name;
  return fmt::format("-{}{}{}", option.get_snames().front(), name.empty() ? "" : ", ", name);
}

std::string usage_line(const CommandText &text) {
  return fmt::format("parallel-loader {} [OPTION]...{}{}", text.name,
                     text.arguments.empty() ? "" : " ", text.arguments);
}

std::string example_line(const CommandText &text) {
  return fmt::format("parallel-loader {}", text.example);
}

std::string_view connection_text() noexcept {
  return R"(`--source` is what this program connects to, `--target` the server that loads the rows. Name a
[service](https://www.postgresql.org/docs/current/libpq-pgservice.html) (`service=old`), and put its password
into the service file or the [password file](https://www.postgresql.org/docs/current/libpq-pgpass.html).

A password in `--source` or `--target` is overwritten in the list of processes as soon as the program
starts; before that, other users of the machine can see it. The program neither shows nor logs passwords. If
the destination server logs statements with their parameters (`log_statement`, `log_min_duration_statement`),
it logs the password of the source, unless the user of `--target` is a superuser. To avoid that, name a
foreign server with a user mapping in `--source-on-target`.
)";
}

std::string_view config_text() noexcept {
  return R"(`--config` names a file in TOML. Its settings have the names of the options, without the dashes; `tables` is
a list of TABLE arguments. A setting holds for every command that has the option, and in a section with the
name of a command for that command alone. The section `connections` gives names to connection strings, for
`--source`, `--target` and `--source-on-target`. Texts are in quotes, without escapes in them. The command
line wins over the file, and the file over the environment. A file with a password must be readable by its
owner alone.
)";
}

std::string_view config_example() noexcept {
  return R"([connections]
old = "host=db1 dbname=app user=reader"
new = "service=new"

[copy]
source = "old"
target = "new"
jobs = 8
exclude = ["audit.*", "*.old_*"]
sequences = false
)";
}

std::string_view output_text() noexcept {
  return R"(Results go to standard output. Everything else goes to standard error. Without `--json`, the result of `copy`
is the command tag, `COPY` and the number of rows, once all tables are loaded. With `--json`, the result of
every command is one document on one line, also if it failed: see [JSON documents](json.md).
)";
}

} // namespace parallel_loader
