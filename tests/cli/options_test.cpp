// options_test: what the command line means, and what is said of one that means nothing.
#include "orchestrator/base/failure.hpp"
#include "orchestrator/cli/option_table.hpp"
#include "orchestrator/cli/options.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace parallel_loader {
namespace {

using Arguments = std::vector<std::string>;
using Variables = std::map<std::string, std::string, std::less<>>;

Environment with(const Variables &variables) {
  return [variables](std::string_view name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

const Environment kBothServers =
    with({{"PARALLEL_LOADER_SOURCE", "dbname=a"}, {"PARALLEL_LOADER_TARGET", "dbname=b"}});

CopyOptions parse(Arguments arguments) {
  arguments.insert(arguments.begin(), "copy");
  return parse_invocation(arguments, kBothServers).copy;
}

/// `message | hint` of the usage error.
std::string complaint(const Arguments &arguments, const Environment &environment) {
  try {
    (void)parse_invocation(arguments, environment);
  } catch (const Failure &failure) {
    EXPECT_EQ(failure.status(), ExitStatus::kUsage);
    return failure.message() + " | " + failure.hint();
  }
  return "";
}

std::string complaint(const Arguments &arguments) {
  return complaint(arguments, kBothServers);
}

Action action(const Arguments &arguments) {
  return parse_invocation(arguments, with({})).action;
}

TEST(Options, reads_every_option) {
  const CopyOptions options = parse({"-s",
                                     "dbname=x",
                                     "--target=dbname=y",
                                     "--source-on-target",
                                     "server",
                                     "--key=id",
                                     "--start",
                                     "-5",
                                     "--end=1e6",
                                     "--where",
                                     "a = 'b=c'",
                                     "--columns",
                                     "id, \"B c\"",
                                     "-j8",
                                     "--chunk-size",
                                     "64MB",
                                     "--format=text",
                                     "--json",
                                     "--progress=never",
                                     "--report-every=5",
                                     "--color=always",
                                     "-v",
                                     "sales.orders=archive.\"Old=Orders\""});
  EXPECT_EQ(options.source, "dbname=x");
  EXPECT_EQ(options.destination, "dbname=y");
  EXPECT_EQ(options.source_on_destination, "server");
  EXPECT_EQ(options.key, "id");
  EXPECT_EQ(options.start, "-5");
  EXPECT_EQ(options.end, "1e6");
  EXPECT_EQ(options.where, "a = 'b=c'");
  EXPECT_EQ(options.columns, (std::vector<std::string>{"id", "B c"}));
  EXPECT_EQ(options.jobs, 8);
  EXPECT_EQ(options.chunk_size, "64MB");
  EXPECT_EQ(options.format, "text");
  EXPECT_EQ(options.output, Output::kJson);
  EXPECT_EQ(options.progress, When::kNever);
  EXPECT_EQ(options.report_every, std::chrono::seconds(5));
  EXPECT_EQ(options.color, When::kAlways);
  EXPECT_EQ(options.verbosity, Verbosity::kVerbose);
  EXPECT_EQ(options.table.table.display(), "sales.orders");
  EXPECT_EQ(options.table.destination.name, "Old=Orders");
}

std::string_view documented_default(std::string_view option) {
  const auto table = copy_option_table();
  return std::ranges::find(table, option, &OptionSpec::name)->fallback;
}

TEST(Options, has_the_documented_defaults) {
  const CopyOptions options = parse({"t"});
  EXPECT_EQ(std::to_string(options.jobs), documented_default("jobs"));
  EXPECT_EQ(options.format, documented_default("format"));
  EXPECT_EQ(std::to_string(options.report_every.count()), documented_default("report-every"));
  EXPECT_EQ(options.table.destination, options.table.table);
}

TEST(Options, the_command_line_wins_over_the_environment) {
  EXPECT_EQ(parse({"t"}).source, "dbname=a");
  EXPECT_EQ(parse({"-s", "dbname=c", "t"}).source, "dbname=c");
}

TEST(Options, an_empty_variable_is_none) {
  EXPECT_EQ(complaint({"copy", "t"}, with({{"PARALLEL_LOADER_SOURCE", ""}})),
            "no source is given | Use --source CONN or set PARALLEL_LOADER_SOURCE.");
}

TEST(Options, an_empty_value_stays_with_its_option) {
  EXPECT_EQ(parse({"--where=", "t"}).where, "");
  EXPECT_EQ(parse({"--where", "", "t"}).where, "");
}

TEST(Options, arguments_after_two_dashes_are_tables) {
  EXPECT_EQ(parse({"--", "t"}).table.table.name, "t");
}

TEST(Options, values_may_look_like_options_or_lists) {
  EXPECT_EQ(parse({"--start", "--end", "t"}).start, "--end");
  EXPECT_EQ(parse({"--start", "[1,2]", "t"}).start, "[1,2]");
  EXPECT_EQ(parse({"--end=-1", "t"}).end, "-1");
}

TEST(Options, knows_what_is_asked_for) {
  EXPECT_EQ(action({"--help"}), Action::kHelp);
  EXPECT_EQ(action({"-?"}), Action::kHelp);
  EXPECT_EQ(action({"--version"}), Action::kVersion);
  EXPECT_EQ(action({"-V"}), Action::kVersion);
  EXPECT_EQ(action({"copy", "--help"}), Action::kCopyHelp);
  EXPECT_EQ(action({"copy", "-?", "a", "b", "--jobs=x"}), Action::kCopyHelp);
}

struct Wrong {
  Arguments arguments;
  std::string complaint;
};

class OptionsReject : public testing::TestWithParam<Wrong> {};

TEST_P(OptionsReject, wrong_usage_with_what_to_do) {
  EXPECT_EQ(complaint(GetParam().arguments), GetParam().complaint);
}

const std::string kTry = R"(Try "parallel-loader copy --help".)";

INSTANTIATE_TEST_SUITE_P(
    CommandLines, OptionsReject,
    testing::Values(
        Wrong{{}, R"(no command is given | Try "parallel-loader --help".)"},
        Wrong{{"cpoy"}, R"(unrecognized command "cpoy" | Try "parallel-loader --help".)"},
        Wrong{{"--json", "copy"},
              R"(option "--json" stands before the command | The command comes first: )"
              "parallel-loader copy [OPTION]... TABLE."},
        Wrong{{"copy"},
              "no table is given | Name it as the last argument: TABLE or TABLE=TARGET_TABLE."},
        Wrong{{"copy", "a", "b"},
              R"(too many arguments: "b" follows table "a" | This version copies one table per )"
              "call: run it once for each."},
        Wrong{{"copy", "--jbos=4", "t"},
              R"(unrecognized option "--jbos" | Did you mean "--jobs"?)"},
        Wrong{{"copy", "--frobnicate", "t"}, R"(unrecognized option "--frobnicate" | )" + kTry},
        Wrong{{"copy", "-h"},
              R"(unrecognized option "-h" | -h does not show help: use --help or -?.)"},
        Wrong{{"copy", "t", "--jobs"}, R"(option "--jobs" needs a value | )" + kTry},
        Wrong{{"copy", "--json=yes", "t"}, R"(option "--json" takes no value | )" + kTry},
        Wrong{{"copy", "--where=a", "--where=b", "t"},
              R"(option "--where" is given more than once | Give it once; several conditions can )"
              "be joined by AND in --where."},
        Wrong{{"copy", "-j0", "t"},
              R"(invalid value "0" for option "--jobs" | Give a number from 1 to 256.)"},
        Wrong{{"copy", "-j", "4x", "t"},
              R"(invalid value "4x" for option "--jobs" | Give a number from 1 to 256.)"},
        Wrong{{"copy", "-j", "99999999999", "t"},
              R"(invalid value "99999999999" for option "--jobs" | Give a number from 1 to 256.)"},
        Wrong{{"copy", "--chunk-size=64", "t"},
              R"(invalid value "64" for option "--chunk-size" | Give a number with kB, MB, GB or )"
              "TB, like 64MB."},
        Wrong{{"copy", "--format=csv", "t"},
              R"(invalid value "csv" for option "--format" | Give auto, text or binary.)"},
        Wrong{{"copy", "--progress=yes", "t"},
              R"(invalid value "yes" for option "--progress" | Give auto, always or never.)"},
        Wrong{{"copy", "--color", "t"},
              R"(invalid value "t" for option "--color" | Give auto, always or never.)"},
        Wrong{{"copy", "--report-every=0", "t"},
              R"(invalid value "0" for option "--report-every" | Give a number of seconds from 1 )"
              "to 86400."},
        Wrong{{"copy", "--columns=a,,b", "t"},
              R"(invalid value "a,,b" for option "--columns" | Give names as in SQL, with commas )"
              R"(between them: 'id, "Odd Name"'.)"},
        Wrong{{"copy", "a.b.c"},
              R"(invalid table name "a.b.c" | Give TABLE or SCHEMA.TABLE, quoted as in SQL where )"
              R"(needed: 'sales."Odd Name"'.)"},
        Wrong{{"copy", "a="},
              R"(invalid table name "a=" | Give TABLE or SCHEMA.TABLE, quoted as in SQL where )"
              R"(needed: 'sales."Odd Name"'.)"}));

TEST(TableArgument, folds_case_outside_quotes_only) {
  const TableArgument argument = parse_table_argument(R"(Sales.Orders="A=""B".c)");
  EXPECT_EQ(argument.table, (QualifiedName{"sales", "orders"}));
  EXPECT_EQ(argument.destination, (QualifiedName{"A=\"B", "c"}));
}

TEST(OptionTable, has_unique_names_and_letters) {
  std::set<std::string_view> names;
  std::set<char> letters{'h'}; // a host name to users of psql
  for (const OptionSpec &spec : copy_option_table()) {
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    EXPECT_TRUE(spec.letter == 0 || letters.insert(spec.letter).second) << spec.letter;
  }
}

} // namespace
} // namespace parallel_loader
