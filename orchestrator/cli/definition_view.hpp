// definition_view: the definition of the command line, to be shown: by help, manual, completions.
#pragma once

#include "orchestrator/cli/command_text.hpp"
#include "orchestrator/cli/definition.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parallel_loader {

/// Options under one heading.
struct OptionGroup {
  std::string heading;
  std::vector<const CLI::Option *> options;
};

class DefinitionView {
public:
  DefinitionView() : app_(define_command_line(options_, connections_)) {}

  [[nodiscard]] const CLI::App &command(Command command) const {
    return *app_->get_subcommand(std::string(command_name(command)));
  }
  /// In the order of their definition; --config, which all commands have, among them.
  [[nodiscard]] std::vector<OptionGroup> groups(Command command) const;
  /// TABLE, ID.
  [[nodiscard]] std::vector<const CLI::Option *> arguments(Command command) const;

private:
  Options options_;
  NamedConnections connections_;
  std::unique_ptr<CLI::App> app_;
};

[[nodiscard]] bool takes_value(const CLI::Option &option);
/// The words that a value can be; empty: it is anything.
[[nodiscard]] std::vector<std::string> choices_of(const CLI::Option &option);
/// `--jobs`, `--[no-]sequences`; empty for an option that has only a letter.
[[nodiscard]] std::string long_name(const CLI::Option &option);
/// `=N`; empty for a flag.
[[nodiscard]] std::string value_of(const CLI::Option &option);
/// `-j, --jobs=N`.
[[nodiscard]] std::string option_names(const CLI::Option &option);
/// `parallel-loader copy [OPTION]... TABLE`.
[[nodiscard]] std::string usage_line(const CommandText &text);
[[nodiscard]] std::string example_line(const CommandText &text);

using NameAndMeaning = std::pair<std::string_view, std::string_view>;

inline constexpr std::string_view kPurpose =
    "parallel-loader copies tables from one PostgreSQL server into another: the destination server "
    "pulls many ranges of a table at once, straight from the source.";

inline constexpr std::array<NameAndMeaning, 5> kEnvironment{{
    {"PARALLEL_LOADER_SOURCE", "--source, where it is not given"},
    {"PARALLEL_LOADER_TARGET", "--target, where it is not given"},
    {"PGPASSFILE, PGSERVICEFILE, PG...", "as for psql, for both connections"},
    {"NO_COLOR", "no color, if it is not empty"},
    {"TERM=dumb", "no color and no bar"},
}};

/// Of the manual: what is true of all commands, as command_text.hpp has the behavior of each.
[[nodiscard]] std::string_view connection_text() noexcept;
[[nodiscard]] std::string_view config_text() noexcept;
[[nodiscard]] std::string_view config_example() noexcept;
[[nodiscard]] std::string_view output_text() noexcept;

} // namespace parallel_loader
