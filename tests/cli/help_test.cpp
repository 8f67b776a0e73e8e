// help_test: the help screens, and docs/cli.md made from the same table.
#include "orchestrator/base/text.hpp"
#include "orchestrator/cli/completion.hpp"
#include "orchestrator/cli/definition_view.hpp"
#include "orchestrator/cli/help.hpp"
#include "orchestrator/cli/manual.hpp"
#include "tests/cli/golden.hpp"

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

TEST(Help, short_screens) {
  expect_golden("usage.txt", main_usage());
  expect_golden("usage_copy.txt", command_usage(Command::kCopy));
}

TEST(Help, fits_80_columns) {
  std::string screens = main_help() + main_usage();
  for (const CommandText &text : command_texts())
    screens += command_help(text.command) + command_usage(text.command);
  std::istringstream lines(screens);
  for (std::string line; std::getline(lines, line);)
    EXPECT_LE(text_width(line), 80U) << line;
}

/// Without what roff writes for a minus.
std::string plain_manual() {
  std::string page = manual_page();
  std::erase(page, '\\');
  return page;
}

TEST(Help, every_option_is_in_help_manual_and_completions) {
  const DefinitionView view;
  for (const CommandText &text : command_texts())
    for (const OptionGroup &group : view.groups(text.command))
      for (const CLI::Option *const option : group.options) {
        if (option->get_lnames().empty())
          continue;
        const std::string &name = option->get_lnames().front();
        for (const std::string &screen :
             {command_help(text.command), command_usage(text.command), manual_markdown(),
              plain_manual(), bash_completion(), zsh_completion(), fish_completion()})
          EXPECT_NE(screen.find(name), std::string::npos) << name;
        EXPECT_NE(manual_markdown().find(option->get_envname()), std::string::npos)
            << option->get_envname();
      }
}

TEST(Help, docs_cli_md_is_what_the_program_prints) {
  if (std::getenv("UPDATE_GOLDEN") != nullptr)
    std::ofstream(source_root() / "docs/cli.md") << manual_markdown();
  EXPECT_EQ(read_file(source_root() / "docs/cli.md"), manual_markdown())
      << "make it anew: parallel-loader generate markdown > docs/cli.md";
}

} // namespace
} // namespace parallel_loader
