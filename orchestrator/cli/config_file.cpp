#include "orchestrator/cli/config_file.hpp"

#include "orchestrator/base/failure.hpp"
#include "orchestrator/cli/password_cover.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <sstream>
#include <vector>

namespace parallel_loader {

namespace {

constexpr std::string_view kConnections = "connections";

/// Settings that add to the tables of a command, that are about some of them, or that empty them.
constexpr std::string_view kSelecting[] = {"TABLE",   "schema",   "all",         "table-list",
                                           "exclude", "key-for",  "columns-for", "where-for",
                                           "resume",  "snapshot", "truncate"};

/// CLI11 up to 2.1 ends a line at any `#`, also at one in a string.
std::string without_comment(const std::string &line) {
  char quote = 0;
  for (size_t index = 0; index < line.size(); ++index) {
    const char c = line[index];
    if (quote == 0 && c == '#')
      return line.substr(0, index);
    if (quote == 0 && (c == '"' || c == '\''))
      quote = c;
    else if (c == quote)
      quote = 0;
  }
  return line;
}

class ConfigFile final : public CLI::ConfigTOML {
public:
  ConfigFile(const CLI::App &app, NamedConnections &connections, bool &selects)
      : app_(app), connections_(connections), selects_(selects) {
    comment('\0');
  }

  std::vector<CLI::ConfigItem> from_config(std::istream &input) const override {
    std::stringstream text;
    for (std::string line; std::getline(input, line);)
      text << without_comment(line) << '\n';
    std::vector<CLI::ConfigItem> items;
    for (CLI::ConfigItem &item : CLI::ConfigTOML::from_config(text)) {
      if (item.name == "++" || item.name == "--") // a section begins, and ends
        continue;
      protect(item);
      if (!item.parents.empty() && item.parents.front() == kConnections)
        take_connection(item);
      else if (belongs_to_command(item))
        items.push_back(std::move(item));
    }
    return items;
  }

private:
  [[nodiscard]] std::string path() const { return app_.get_config_ptr()->as<std::string>(); }

  void protect(const CLI::ConfigItem &item) const {
    if (std::ranges::none_of(item.inputs, may_hold_password))
      return;
    struct stat file {};
    if (::stat(path().c_str(), &file) == 0 && (file.st_mode & (S_IRWXG | S_IRWXO)) != 0)
      throw usage_failure(
          fmt::format("file \"{}\" holds a password and has group or world access", path()),
          fmt::format("Run: chmod 600 '{}'", path()));
  }

  void take_connection(const CLI::ConfigItem &item) const {
    if (item.inputs.size() != 1 || item.parents.size() != 1)
      throw usage_failure(
          fmt::format("connection \"{}\" of file \"{}\" is not one text", item.name, path()),
          "Write it in quotes: name = \"host=... dbname=...\".");
    connections_[item.name] = item.inputs.front();
  }

  /// Puts the item into the section of the command that was given; false where it is for another.
  bool belongs_to_command(CLI::ConfigItem &item) const {
    if (item.name == "tables")
      item.name = "TABLE";
    const auto has_option = [&](const CLI::App *command) {
      return command->get_option_no_throw("--" + item.name) != nullptr ||
             (item.name == "TABLE" && command->get_option_no_throw(item.name) != nullptr);
    };
    const auto commands = app_.get_subcommands([&](const CLI::App *command) {
      return item.parents.empty() || command->get_name() == item.parents.front();
    });
    if (item.parents.size() > 1 || std::ranges::none_of(commands, has_option))
      throw usage_failure(
          fmt::format("unrecognized setting \"{}\" in file \"{}\"", item.fullname(), path()),
          "Settings are named as the options, without dashes before them.");
    selects_ = selects_ || std::ranges::find(kSelecting, item.name) != std::end(kSelecting);
    const auto given = app_.get_subcommands();
    if (given.empty() || std::ranges::find(commands, given.front()) == commands.end() ||
        !has_option(given.front()))
      return false;
    item.parents = {given.front()->get_name()};
    return true;
  }

  const CLI::App &app_;
  NamedConnections &connections_; // which reading fills
  bool &selects_;                 // likewise
};

} // namespace

void add_config_file(CLI::App &app, NamedConnections &connections, bool &selects) {
  app.set_config("--config", "", "file with named connections and values of options, in TOML")
      ->type_name("FILE")
      ->group("Connection");
  app.config_formatter(std::make_shared<ConfigFile>(app, connections, selects));
  for (CLI::App *const command : app.get_subcommands({}))
    command->fallthrough();
}

} // namespace parallel_loader
