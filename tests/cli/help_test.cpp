// help_test: the help screens, and docs/cli.md made from the same table.
#include "orchestrator/base/text.hpp"
#include "orchestrator/cli/command_text.hpp"
#include "orchestrator/cli/definition.hpp"
#include "orchestrator/cli/help.hpp"
#include "tests/cli/golden.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace parallel_loader {
namespace {

TEST(Help, main_screen) {
  expect_golden("help.txt", main_help());
}
TEST(Help, command_screens) {
  for (const CommandText &text : command_texts())
    expect_golden(fmt::format("help_{}.txt", text.name), command_help(text.command));
}

TEST(Help, fits_80_columns) {
  std::string screens = main_help();
  for (const CommandText &text : command_texts())
    screens += command_help(text.command);
  std::istringstream lines(screens);
  for (std::string line; std::getline(lines, line);)
    EXPECT_LE(text_width(line), 80U) << line;
}

TEST(Help, names_every_option_and_its_variable) {
  Options options;
  const auto app = define_command_line(options);
  for (const CommandText &text : command_texts())
    for (const std::string &screen : {command_help(text.command), help_markdown()})
      for (const CLI::Option *const option :
           app->get_subcommand(std::string(text.name))->get_options()) {
        const std::string name =
            option->get_positional() ? option->get_name() : option->get_lnames().front();
        EXPECT_NE(screen.find(name), std::string::npos) << name;
        EXPECT_NE(screen.find(option->get_envname()), std::string::npos) << option->get_envname();
      }
}

TEST(Help, docs_cli_md_is_what_the_program_prints) {
  if (std::getenv("UPDATE_GOLDEN") != nullptr)
    std::ofstream(source_root() / "docs/cli.md") << help_markdown();
  EXPECT_EQ(read_file(source_root() / "docs/cli.md"), help_markdown())
      << "make it anew: parallel-loader --help-markdown > docs/cli.md";
}

} // namespace
} // namespace parallel_loader
