#include "orchestrator/commands/own_command.hpp"

#include "core/base/error.hpp"
#include "core/connection/conninfo.hpp"
#include "orchestrator/base/shell.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace parallel_loader {

namespace {

std::string without_password(const std::string &conninfo) {
  if (!is_conninfo(conninfo)) // a foreign server
    return conninfo;
  try {
    const ConnInfo parsed = ConnInfo::parse(conninfo);
    const bool has_secret = std::ranges::any_of(parsed.options(), [](const ConnOption &option) {
      return is_secret_option(option.keyword) && !option.value.empty();
    });
    return has_secret ? parsed.display() : conninfo;
  } catch (const Error &) {
    return ""; // it may hold one
  }
}

/// `name`: what the file of --config calls it; empty: nothing.
std::string option_for(std::string_view option, const std::string &conninfo,
                       const std::string &name, const char *variable) {
  const std::string &given = name.empty() ? conninfo : name;
  if (given.empty() || process_environment(variable) == given)
    return "";
  const std::string shown = name.empty() ? without_password(conninfo) : name;
  return shown.empty() ? "" : fmt::format(" {} {}", option, shell_word(shown));
}

/// What the file of --config says of tables would hold for a command that names one of them.
Connections for_command(std::string_view words, const Connections &given) {
  Connections connections = given;
  if (given.config_selects && (words.starts_with("copy ") || words.starts_with("append ")))
    connections.config = connections.source_name = connections.destination_name =
        connections.source_on_destination_name = "";
  return connections;
}

void add_argument(std::string &words, const GivenArgument &argument) {
  if (!argument.option.empty())
    words += ' ' + argument.option;
  for (const std::string &value : argument.values)
    words += ' ' + shell_word(value);
}

/// Those of `names`.
std::string options_among(std::span<const GivenArgument> given,
                          std::span<const std::string_view> names) {
  std::string words;
  for (const GivenArgument &argument : given)
    if (std::ranges::find(names, argument.option) != names.end())
      add_argument(words, argument);
  return words;
}

constexpr std::string_view kOfRun[] = {"--jobs", "--verify", "--sequences", "--no-sequences"};
constexpr std::string_view kRate[] = {"--max-rate"};
constexpr std::string_view kJobs[] = {"--jobs"};
constexpr std::string_view kOfTables[] = {"--key", "--columns", "--where",      "--start",
                                          "--end", "--format",  "--chunk-size", "--truncate"};

} // namespace

std::string kept_options(std::string_view words, std::span<const GivenArgument> given) {
  if (words.starts_with("copy "))
    return options_among(given, kOfRun) + options_among(given, kRate);
  if (words.starts_with("append "))
    return options_among(given, kJobs);
  // The rate of a run that is resumed is in the ledger, where others may have changed it.
  return words.starts_with("resume ") ? options_among(given, kOfRun) : "";
}

std::string whole_command(const Options &options, const std::string &run_id) {
  std::string words(command_name(options.command));
  for (const GivenArgument &argument : options.given)
    if (argument.option != "--resume" &&
        (run_id.empty() || (argument.option != "--truncate" && argument.option != "--snapshot")))
      add_argument(words, argument);
  if (!run_id.empty() && options.command == Command::kCopy)
    words += " --resume " + run_id;
  return own_command(words, options.connections);
}

std::string copy_of_missing(const Options &options, const std::string &name) {
  if (options.safety.snapshot)
    return "";
  const std::string words = "copy " + shell_word(name);
  return own_command(words + options_among(options.given, kOfTables) +
                         kept_options(words, options.given),
                     options.connections);
}

bool leaves_password_out(const Connections &connections) {
  const auto leaves_out = [&](const std::string &conninfo, const std::string &name) {
    return (name.empty() || connections.config_selects) && without_password(conninfo) != conninfo;
  };
  return leaves_out(connections.source, connections.source_name) ||
         leaves_out(connections.destination, connections.destination_name) ||
         leaves_out(connections.source_on_destination.value_or(""),
                    connections.source_on_destination_name);
}

std::string own_command(const std::string &words, const Connections &given) {
  const Connections connections = for_command(words, given);
  std::string text = "parallel-loader " + words;
  if (!connections.config.empty())
    text += " --config " + shell_word(connections.config);
  text += option_for("--source", connections.source, connections.source_name,
                     "PARALLEL_LOADER_SOURCE") +
          option_for("--target", connections.destination, connections.destination_name,
                     "PARALLEL_LOADER_TARGET");
  if (connections.source_on_destination)
    text += option_for("--source-on-target", *connections.source_on_destination,
                       connections.source_on_destination_name, "");
  return text;
}

} // namespace parallel_loader
