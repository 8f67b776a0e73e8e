#include "orchestrator/commands/own_command.hpp"

#include "core/base/error.hpp"
#include "core/connection/conninfo.hpp"
#include "orchestrator/base/shell.hpp"

#include <fmt/format.h>

namespace parallel_loader {

namespace {

std::string without_password(const std::string &conninfo) {
  if (!is_conninfo(conninfo)) // a foreign server
    return conninfo;
  try {
    const ConnInfo parsed = ConnInfo::parse(conninfo);
    return parsed.get("password").empty() ? conninfo : parsed.display();
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

} // namespace

bool leaves_password_out(const Connections &connections) {
  const auto leaves_out = [](const std::string &conninfo, const std::string &name) {
    return name.empty() && without_password(conninfo) != conninfo;
  };
  return leaves_out(connections.source, connections.source_name) ||
         leaves_out(connections.destination, connections.destination_name) ||
         leaves_out(connections.source_on_destination.value_or(""),
                    connections.source_on_destination_name);
}

std::string own_command(const std::string &words, const Connections &connections) {
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
