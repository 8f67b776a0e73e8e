// help_test: the help screens, and docs/cli.md made from the same table.
#include "orchestrator/base/text.hpp"
#include "orchestrator/cli/help.hpp"
#include "orchestrator/cli/option_table.hpp"
#include "tests/cli/golden.hpp"

namespace parallel_loader {
namespace {

TEST(Help, main_screen) {
  expect_golden("help.txt", main_help());
}
TEST(Help, copy_screen) {
  expect_golden("help_copy.txt", copy_help());
}

TEST(Help, fits_80_columns) {
  for (const std::string &screen : {main_help(), copy_help()}) {
    std::istringstream lines(screen);
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(text_width(line), 80U) << line;
  }
}

TEST(Help, names_every_option_and_its_variable) {
  for (const OptionSpec &spec : copy_option_table())
    for (const std::string &screen : {copy_help(), help_markdown()}) {
      EXPECT_NE(screen.find("--" + std::string(spec.name)), std::string::npos) << spec.name;
      EXPECT_NE(screen.find(spec.environment), std::string::npos) << spec.environment;
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
