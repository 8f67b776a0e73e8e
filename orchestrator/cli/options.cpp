#include "orchestrator/cli/options.hpp"

#include "core/base/quote.hpp"
#include "orchestrator/cli/command_text.hpp"
#include "orchestrator/cli/definition.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/report/run_report.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace parallel_loader {

namespace {

/// CLI11 takes the next argument as the value of `--name=`; as an argument of its own the empty
/// value is one.
std::vector<std::string> separate_empty_values(std::span<const std::string> arguments) {
  std::vector<std::string> result;
  bool are_options_over = false;
  for (const std::string &argument : arguments) {
    are_options_over = are_options_over || argument == "--";
    if (!are_options_over && argument.starts_with("--") &&
        argument.find('=') + 1 == argument.size()) {
      result.push_back(argument.substr(0, argument.size() - 1));
      result.emplace_back();
    } else {
      result.push_back(argument);
    }
  }
  return result;
}

/// What an option asks for in place of the command.
std::optional<Action> other_action(const CLI::App &app) {
  const auto commands = app.get_subcommands();
  if (!commands.empty()) {
    if (commands.front()->count("--help") > 0)
      return Action::kCommandHelp;
    if (commands.front()->count("-?") > 0)
      return Action::kCommandUsage;
  }
  if (app.count("--help") > 0)
    return Action::kHelp;
  if (app.count("-?") > 0)
    return Action::kUsage;
  if (app.count("--version") > 0)
    return Action::kVersion;
  return std::nullopt;
}

void parse(CLI::App &app, std::span<const std::string> arguments) {
  std::vector<std::string> reversed = separate_empty_values(arguments);
  std::ranges::reverse(reversed); // what App::parse(vector) expects
  app.parse(std::move(reversed));
}

/// Names of the file of --config stand for what it has there.
void resolve_names(Connections &connections, const NamedConnections &named) {
  const auto resolve = [&](std::string &connection, std::string &name) {
    if (const auto found = named.find(connection); found != named.end()) {
      name = connection;
      connection = found->second;
    }
  };
  resolve(connections.source, connections.source_name);
  resolve(connections.destination, connections.destination_name);
  if (connections.source_on_destination)
    resolve(*connections.source_on_destination, connections.source_on_destination_name);
}

/// Commands that the help does not show: they are for packages and shells.
std::optional<Invocation> parse_hidden(std::span<const std::string> arguments) {
  if (arguments.empty())
    return std::nullopt;
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (arguments.front() == "generate")
    return Invocation{.action = Action::kGenerate, .options = {}, .arguments = rest};
  if (arguments.front() == "complete-tables")
    return Invocation{.action = Action::kCompleteTables, .options = {}, .arguments = rest};
  return std::nullopt;
}

Command given_command(const CLI::App &app) {
  const auto commands = app.get_subcommands();
  const auto texts = command_texts();
  return commands.empty()
             ? Command::kCopy
             : std::ranges::find(texts, commands.front()->get_name(), &CommandText::name)->command;
}

bool needs_tables(const Options &options) {
  switch (options.command) {
  case Command::kCopy:
    return !options.safety.resume;
  case Command::kPlan:
  case Command::kCheck:
  case Command::kVerify:
  case Command::kAppend:
    return true;
  case Command::kResume:
  case Command::kStatus:
  case Command::kCancel:
  case Command::kAlter:
  case Command::kSequences: // all of the database
    return false;
  }
  return false;
}

void check_columns(const Selection &selection) {
  for (const ForTable &columns : selection.columns_of)
    try {
      (void)split_identifier_list(columns.value);
    } catch (const Error &) {
      throw usage_failure(
          fmt::format("invalid value \"{}\" for option \"--columns-for\"", columns.value),
          R"(Give names as in SQL, with commas between them: 'id, "Odd Name"'.)");
    }
}

/// CLI11 takes an argument in brackets for a list.
void check_brackets(const Selection &selection, std::span<const std::string> arguments) {
  for (const std::string &argument : arguments)
    if (argument.size() > 2 && argument.front() == '[' && argument.back() == ']')
      for (const std::string &table : selection.tables)
        if (argument.find(table) == 1)
          throw usage_failure(fmt::format("pattern \"{}\" cannot be read", argument),
                              fmt::format("Write it as '({})'.", argument));
}

/// What is more than one option alone can tell.
void check_together(const Options &options) {
  if (needs_tables(options) && !selects_tables(options.selection))
    throw usage_failure("no table is given",
                        "Name tables as the last arguments, TABLE or TABLE=TARGET_TABLE, or use "
                        "--schema, --table-list or --all.");
  if (options.command == Command::kAlter && !options.speed.jobs && !options.speed.max_rate_kb &&
      !options.speed.is_paused)
    throw usage_failure("no change is given", "Use --jobs, --max-rate or --pause.");
  if (!options.selection.excluded.empty() && !selects_tables(options.selection))
    throw usage_failure("nothing is selected that tables could be excluded from",
                        "Use --exclude with --all, --schema, --table-list or a pattern.");
  check_columns(options.selection);
  for (const std::string &path : options.output.reports)
    check_report(path);
}

/// An option that was given twice comes twice, each time with as many values as it takes.
std::vector<GivenArgument> given_options(const CLI::App &command) {
  std::vector<GivenArgument> given;
  for (const CLI::Option *option : command.get_options()) {
    const std::vector<std::string> &values = option->results();
    if (values.empty() || option->get_group() == "Connection")
      continue;
    const bool is_flag = option->get_items_expected_max() == 0;
    const bool is_off = is_flag && CLI::detail::to_flag_value(values.back()) <= 0;
    if (is_off && option->get_fnames().empty())
      continue; // as if it were not there
    const auto size =
        static_cast<size_t>(option->get_positional() ? static_cast<int>(values.size())
                                                     : std::max(1, option->get_type_size_max()));
    for (size_t first = 0; first < values.size(); first += size) {
      GivenArgument &argument = given.emplace_back();
      if (!option->get_positional())
        argument.option = is_off ? "--" + option->get_fnames().front() : option->get_name();
      if (!is_flag)
        argument.values.assign(
            values.begin() + static_cast<std::ptrdiff_t>(first),
            values.begin() + static_cast<std::ptrdiff_t>(std::min(first + size, values.size())));
    }
  }
  return given;
}

} // namespace

bool selects_tables(const Selection &selection) {
  return !selection.tables.empty() || !selection.schemas.empty() || selection.all ||
         selection.table_list.has_value();
}

Invocation parse_invocation(std::span<const std::string> arguments) {
  if (auto hidden = parse_hidden(arguments))
    return *hidden;
  Options options;
  NamedConnections named;
  const std::unique_ptr<CLI::App> app = define_command_line(options, named);
  std::optional<Failure> failure;
  try {
    parse(*app, arguments);
  } catch (const CLI::ParseError &error) {
    failure = usage_error(error, *app, arguments);
  } catch (const Failure &thrown) { // of the file of --config
    failure = thrown;
  }
  options.command = given_command(*app);
  if (const auto action = other_action(*app)) // whatever else is wrong
    return {*action, std::move(options), {}};
  if (failure)
    throw Failure(*failure);
  resolve_names(options.connections, named);
  for (const CLI::App *command : app->get_subcommands())
    options.given = given_options(*command);
  options.connections.config = app->get_config_ptr()->as<std::string>();
  check_together(options);
  check_brackets(options.selection, arguments);
  return {Action::kRun, std::move(options), {}};
}

std::string source_given(std::span<const std::string> arguments) {
  Options options;
  NamedConnections named;
  const std::unique_ptr<CLI::App> app = define_command_line(options, named);
  try {
    parse(*app, arguments);
  } catch (const CLI::ArgumentMismatch &) { // the value of the last option is still being typed
    return arguments.empty() ? "" : source_given(arguments.first(arguments.size() - 1));
  } catch (const CLI::ParseError &) {
    // What follows is still being typed.
  } catch (const Failure &) {
    return "";
  }
  resolve_names(options.connections, named);
  return options.connections.source;
}

} // namespace parallel_loader
