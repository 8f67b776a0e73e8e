#include "orchestrator/cli/options.hpp"

#include "orchestrator/base/failure.hpp"
#include "orchestrator/cli/option_table.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace parallel_loader {

namespace {

constexpr std::string_view kTryHelp = R"(Try "parallel-loader copy --help".)";

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

/// The edits that turn `from` into `to` (Levenshtein).
size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<size_t> row(to.size() + 1);
  for (size_t column = 0; column <= to.size(); ++column)
    row[column] = column;
  for (size_t line = 1; line <= from.size(); ++line) {
    size_t diagonal = row[0];
    row[0] = line;
    for (size_t column = 1; column <= to.size(); ++column) {
      const size_t replaced = diagonal + (from[line - 1] == to[column - 1] ? 0 : 1);
      diagonal = row[column];
      row[column] = std::min({replaced, row[column] + 1, row[column - 1] + 1});
    }
  }
  return row.back();
}

Failure unrecognized_option(std::string_view argument) {
  const std::string_view option = argument.substr(0, argument.find('='));
  const std::string message = fmt::format("unrecognized option \"{}\"", option);
  if (option == "-h")
    return usage_failure(message, "-h does not show help: use --help or -?.");
  constexpr size_t kCloseEnough = 2;
  for (const OptionSpec &spec : copy_option_table()) {
    const std::string name = fmt::format("--{}", spec.name);
    if (option.starts_with("--") && edit_distance(option, name) <= kCloseEnough)
      return usage_failure(message, fmt::format("Did you mean \"{}\"?", name));
  }
  return usage_failure(message, std::string(kTryHelp));
}

CLI::Option *add_option(CLI::App &app, const OptionSpec &spec) {
  const std::string names = spec.letter == 0 ? fmt::format("--{}", spec.name)
                                             : fmt::format("-{},--{}", spec.letter, spec.name);
  if (spec.value.empty())
    return app.add_flag(names)->group(std::string(spec.group));
  // All of them, so that a second one is seen here and not silently taken.
  return app.add_option(names)
      ->group(std::string(spec.group))
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void apply_option(const OptionSpec &spec, const CLI::Option &option, const Environment &environment,
                  CopyOptions &options) {
  const std::string name = fmt::format("--{}", spec.name);
  if (spec.value.empty()) {
    if (std::ranges::any_of(option.results(), [](const auto &value) { return value != "true"; }))
      throw usage_failure(fmt::format("option \"{}\" takes no value", name), std::string(kTryHelp));
    if (option.count() > 0)
      spec.apply(options, "");
    return;
  }
  if (option.count() > 1)
    throw usage_failure(fmt::format("option \"{}\" is given more than once", name),
                        "Give it once; several conditions can be joined by AND in --where.");
  if (option.count() == 1)
    return spec.apply(options, option.results().front());
  if (!spec.environment.empty())
    if (const auto value = environment(spec.environment); value && !value->empty())
      spec.apply(options, *value);
}

void require_connection(std::string_view conninfo, std::string_view name,
                        std::string_view variable) {
  if (conninfo.empty())
    throw usage_failure(fmt::format("no {} is given", name),
                        fmt::format("Use --{} CONN or set {}.", name, variable));
}

void require_tables(std::span<const std::string> tables) {
  if (tables.empty())
    throw usage_failure("no table is given",
                        "Name it as the last argument: TABLE or TABLE=TARGET_TABLE.");
  if (tables.size() > 1)
    throw usage_failure(
        fmt::format("too many arguments: \"{}\" follows table \"{}\"", tables[1], tables[0]),
        "This version copies one table per call: run it once for each.");
}

/// Returns what is neither an option nor a table.
std::vector<std::string> parse_arguments(CLI::App &app, std::span<const std::string> arguments) {
  std::vector<std::string> reversed = separate_empty_values(arguments);
  std::ranges::reverse(reversed); // what App::parse(vector) expects
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ArgumentMismatch &error) {
    const std::string_view what = error.what();
    throw usage_failure(fmt::format("option \"{}\" needs a value", what.substr(0, what.find(':'))),
                        std::string(kTryHelp));
  } catch (const CLI::ParseError &error) {
    throw usage_failure(error.what(), std::string(kTryHelp));
  }
  std::vector<std::string> extras = app.remaining();
  std::erase(extras, "--"); // CLI11 leaves the mark there that ends the options
  return extras;
}

Invocation parse_copy(std::span<const std::string> arguments, const Environment &environment) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<CLI::Option *> parsed;
  for (const OptionSpec &spec : copy_option_table())
    parsed.push_back(add_option(app, spec));
  std::vector<std::string> tables;
  app.add_option("tables", tables);
  const std::vector<std::string> extras = parse_arguments(app, arguments);
  if (app.count("--help") > 0) // whatever else is wrong
    return {Action::kCopyHelp, {}};

  CopyOptions options;
  for (size_t index = 0; index < parsed.size(); ++index)
    apply_option(copy_option_table()[index], *parsed[index], environment, options);
  if (!extras.empty())
    throw unrecognized_option(extras.front());
  require_tables(tables);
  require_connection(options.source, "source", "PARALLEL_LOADER_SOURCE");
  require_connection(options.destination, "target", "PARALLEL_LOADER_TARGET");
  options.table = parse_table_argument(tables.front());
  return {Action::kCopy, std::move(options)};
}

} // namespace

Invocation parse_invocation(std::span<const std::string> arguments,
                            const Environment &environment) {
  constexpr std::string_view kTryMainHelp = R"(Try "parallel-loader --help".)";
  if (arguments.empty())
    throw usage_failure("no command is given", std::string(kTryMainHelp));
  const std::string &first = arguments.front();
  if (first == "--help" || first == "-?")
    return {Action::kHelp, {}};
  if (first == "--version" || first == "-V")
    return {Action::kVersion, {}};
  if (first == "--help-markdown")
    return {Action::kHelpMarkdown, {}};
  if (first.starts_with('-'))
    throw usage_failure(
        fmt::format("option \"{}\" stands before the command", first.substr(0, first.find('='))),
        R"(The command comes first: parallel-loader copy [OPTION]... TABLE.)");
  if (first != "copy")
    throw usage_failure(fmt::format("unrecognized command \"{}\"", first),
                        std::string(kTryMainHelp));
  return parse_copy(arguments.subspan(1), environment);
}

} // namespace parallel_loader
