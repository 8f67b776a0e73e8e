#include "orchestrator/cli/usage_error.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <string_view>

namespace parallel_loader {

namespace {

/// The command that was given; nullptr: none.
const CLI::App *command_of(const CLI::App &app) {
  const auto commands = app.get_subcommands();
  return commands.empty() ? nullptr : commands.front();
}

std::string try_help(const CLI::App &app) {
  const CLI::App *const command = command_of(app);
  return fmt::format(R"(Try "parallel-loader {}--help".)",
                     command == nullptr ? "" : command->get_name() + ' ');
}

/// The option that CLI11 names at the start of its message; nullptr: it does not.
const CLI::Option *named_option(std::string_view what, const CLI::App &app) {
  const std::string name(what.substr(0, what.find_first_of(": ")));
  for (const CLI::App *const command : {command_of(app), &app})
    if (command != nullptr)
      if (const CLI::Option *const option = command->get_option_no_throw(name))
        return option;
  return nullptr;
}

std::string quoted_name(const CLI::Option &option) {
  return fmt::format("{} \"{}\"", option.get_positional() ? "argument" : "option",
                     option.get_name());
}

/// The value that the validator of `option` refuses.
std::string refused_value(const CLI::Option &option) {
  const CLI::Validator *const validator =
      const_cast<CLI::Option &>(option).get_validator(0); // which lacks a const one
  for (const std::string &value : option.results())
    if (!(*validator)(value).empty())
      return value;
  return option.results().empty() ? "" : option.results().back();
}

Failure invalid_value(std::string_view what, const CLI::App &app) {
  const CLI::Option *const option = named_option(what, app);
  const size_t separator = what.find(": ");
  if (option == nullptr || separator == std::string_view::npos)
    return usage_failure(std::string(what), try_help(app));
  return usage_failure(
      fmt::format("invalid value \"{}\" for {}", refused_value(*option), quoted_name(*option)),
      std::string(what.substr(separator + 2)));
}

Failure wrong_count(std::string_view what, const CLI::App &app) {
  const CLI::Option *const option = named_option(what, app);
  if (option == nullptr)
    return usage_failure(std::string(what), try_help(app));
  if (option->count() <= static_cast<size_t>(option->get_items_expected_max()))
    return usage_failure(fmt::format("{} needs {}", quoted_name(*option),
                                     option->get_type_size() == 2 ? "two values" : "a value"),
                         try_help(app));
  return usage_failure(fmt::format("{} is given more than once", quoted_name(*option)),
                       option->get_name() == "--where"
                           ? "Give it once; several conditions can be joined by AND in --where."
                           : "Give it once.");
}

/// `Could not convert: --json = maybe`; options with values have validators that come first.
Failure wrong_flag(std::string_view what, const CLI::App &app) {
  const size_t separator = std::min(what.find(": "), what.size() - 2) + 2;
  const CLI::Option *const option = named_option(what.substr(separator), app);
  if (option == nullptr)
    return usage_failure(std::string(what), try_help(app));
  return usage_failure(
      fmt::format("invalid value \"{}\" for {}", option->results().back(), quoted_name(*option)),
      "Give true or false, or no value.");
}

Failure missing(std::string_view what, const CLI::App &app) {
  const CLI::Option *const option = named_option(what, app);
  if (option == nullptr)
    return usage_failure("no command is given", try_help(app));
  std::string hint = fmt::format("Give {}{}", option->get_name(),
                                 option->get_positional() ? "" : ' ' + option->get_type_name());
  if (!option->get_envname().empty())
    hint += fmt::format(" or set {}", option->get_envname());
  return usage_failure(quoted_name(*option) + " is required", hint + '.');
}

/// `--a excludes --b`, `--a requires --b`.
Failure wrong_pair(std::string_view what, std::string_view verb, std::string_view message,
                   const CLI::App &app) {
  const size_t at = what.find(verb);
  return usage_failure(fmt::format(fmt::runtime(message), what.substr(0, at),
                                   what.substr(std::min(at + verb.size(), what.size()))),
                       try_help(app));
}

Failure unexpected(std::string_view argument, const CLI::App &app,
                   std::span<const std::string> arguments) {
  const std::string_view option = argument.substr(0, argument.find('='));
  const CLI::App *const command = command_of(app);
  if (option == "-h")
    return usage_failure("unrecognized option \"-h\"",
                         "-h does not show help: use --help, or -? for a short one.");
  if (argument.starts_with('-') && argument == arguments.front())
    return usage_failure(fmt::format("option \"{}\" stands before the command", option),
                         "The command comes first: parallel-loader COMMAND [OPTION]... "
                         "[ARGUMENT]...");
  if (argument.starts_with('-'))
    return usage_failure(fmt::format("unrecognized option \"{}\"", option), try_help(app));
  if (command == nullptr)
    return usage_failure(fmt::format("unrecognized command \"{}\"", argument), try_help(app));
  return usage_failure(fmt::format("too many arguments: \"{}\"", argument), try_help(app));
}

} // namespace

Failure usage_error(const CLI::ParseError &error, const CLI::App &app,
                    std::span<const std::string> arguments) {
  const std::string_view what = error.what();
  // Before what else is wrong: an option that is not known may be why another is missing.
  for (const std::string &extra : app.remaining(true))
    if (extra != "--") // CLI11 leaves the mark there that ends the options
      return unexpected(extra, app, arguments);
  if (dynamic_cast<const CLI::FileError *>(&error) != nullptr)
    return usage_failure(fmt::format("file \"{}\" of --config cannot be read",
                                     app.get_config_ptr()->as<std::string>()),
                         "Check its path and its permissions.");
  if (dynamic_cast<const CLI::ValidationError *>(&error) != nullptr)
    return invalid_value(what, app);
  if (dynamic_cast<const CLI::ConversionError *>(&error) != nullptr)
    return wrong_flag(what, app);
  if (dynamic_cast<const CLI::ArgumentMismatch *>(&error) != nullptr)
    return wrong_count(what, app);
  if (dynamic_cast<const CLI::RequiredError *>(&error) != nullptr)
    return missing(what, app);
  if (dynamic_cast<const CLI::ExcludesError *>(&error) != nullptr)
    return wrong_pair(what, " excludes ", R"("{}" and "{}" cannot be used together)", app);
  if (dynamic_cast<const CLI::RequiresError *>(&error) != nullptr)
    return wrong_pair(what, " requires ", R"("{}" can be used with "{}" only)", app);
  return usage_failure(error.what(), try_help(app));
}

} // namespace parallel_loader
