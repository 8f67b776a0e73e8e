// options_test: what the command line means, and what is said of one that means nothing.
#include "orchestrator/base/failure.hpp"
#include "orchestrator/cli/command_text.hpp"
#include "orchestrator/cli/definition.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/tables/table_argument.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

namespace parallel_loader {
namespace {

using Arguments = std::vector<std::string>;
using Variables = std::map<std::string, std::string>;

const Variables kBothServers{{"PARALLEL_LOADER_SOURCE", "dbname=a"},
                             {"PARALLEL_LOADER_TARGET", "dbname=b"}};

/// The process's environment, with `variables` while one lives.
class WithVariables {
public:
  explicit WithVariables(const Variables &variables) : variables_(variables) {
    for (const auto &[name, value] : variables_)
      ::setenv(name.c_str(), value.c_str(), 1);
  }
  WithVariables(const WithVariables &) = delete;
  WithVariables &operator=(const WithVariables &) = delete;
  ~WithVariables() {
    for (const auto &[name, value] : variables_)
      ::unsetenv(name.c_str());
  }

private:
  Variables variables_;
};

Options parse_all(const Arguments &arguments) {
  const WithVariables variables(kBothServers);
  return parse_invocation(arguments).options;
}

Options parse(Arguments arguments) {
  arguments.insert(arguments.begin(), "copy");
  return parse_all(arguments);
}

/// `message | hint` of the usage error.
std::string complaint(const Arguments &arguments, const Variables &environment = kBothServers) {
  const WithVariables variables(environment);
  try {
    (void)parse_invocation(arguments);
  } catch (const Failure &failure) {
    EXPECT_EQ(failure.status(), ExitStatus::kUsage);
    return failure.message() + " | " + failure.hint();
  }
  return "";
}

Action action(const Arguments &arguments) {
  return parse_invocation(arguments).action;
}

TEST(Options, reads_the_servers_of_copy) {
  const Options options =
      parse({"-s", "dbname=x", "--target=dbname=y", "--source-on-target", "server", "t"});
  EXPECT_EQ(options.command, Command::kCopy);
  EXPECT_EQ(options.connections.source, "dbname=x");
  EXPECT_EQ(options.connections.destination, "dbname=y");
  EXPECT_EQ(options.connections.source_on_destination, "server");
}

TEST(Options, reads_the_selection_of_copy) {
  const Selection selection = parse({"-n", "sales*", "--schema=[ab]", "--table-list=-", "--exclude",
                                     "*.log", "status", "sales.orders=archive.\"Old=Orders\""})
                                  .selection;
  EXPECT_EQ(selection.tables, (Arguments{"status", "sales.orders=archive.\"Old=Orders\""}));
  EXPECT_EQ(selection.schemas, (Arguments{"sales*", "[ab]"}));
  EXPECT_EQ(selection.table_list, "-");
  EXPECT_EQ(selection.excluded, (Arguments{"*.log"}));
}

TEST(Options, reads_what_copy_takes_of_all_tables) {
  const Selection selection = parse({"--key=id", "--start", "-5", "--end=1e6", "--where",
                                     "a = 'b=c'", "--columns", "id, \"B c\"", "t"})
                                  .selection;
  EXPECT_EQ(selection.key, "id");
  EXPECT_EQ(selection.start, "-5");
  EXPECT_EQ(selection.end, "1e6");
  EXPECT_EQ(selection.where, "a = 'b=c'");
  EXPECT_EQ(selection.columns, (Arguments{"id", "B c"}));
}

TEST(Options, reads_what_copy_takes_of_single_tables) {
  const Selection selection = parse({"--key-for", "a.t", "ctid", "--key-for", "b.t", "id",
                                     "--where-for", "a.t", "", "--columns-for", "a.t", "x, y", "t"})
                                  .selection;
  EXPECT_EQ(selection.keys, (std::vector<ForTable>{{"a.t", "ctid"}, {"b.t", "id"}}));
  EXPECT_EQ(selection.conditions, (std::vector<ForTable>{{"a.t", ""}}));
  EXPECT_EQ(selection.columns_of, (std::vector<ForTable>{{"a.t", "x, y"}}));
}

TEST(Options, reads_the_speed_of_copy) {
  const Speed speed =
      parse({"-j8", "--chunk-size", "64MB", "--format=text", "--max-rate=50MB", "t"}).speed;
  EXPECT_EQ(speed.jobs, 8);
  EXPECT_EQ(speed.chunk_size, "64MB");
  EXPECT_EQ(speed.format, "text");
  EXPECT_EQ(speed.max_rate_kb, 50 * 1024);
}

TEST(Options, reads_the_safety_of_copy) {
  const Safety safety = parse({"--dry-run", "--truncate", "--on-error=stop", "--verify=checksum",
                               "--no-sequences", "--snapshot=00000003-0000002D-1", "t"})
                            .safety;
  EXPECT_TRUE(safety.is_dry_run);
  EXPECT_TRUE(safety.truncates);
  EXPECT_EQ(safety.on_error, OnError::kStop);
  EXPECT_EQ(safety.verify, Verification::kChecksum);
  EXPECT_EQ(safety.sequences, false);
  EXPECT_EQ(safety.snapshot, "00000003-0000002D-1");
}

TEST(Options, reads_the_output_of_copy) {
  const Output output =
      parse({"--report=a.html", "--report=b.json", "--json", "--json-progress", "--ascii",
             "--progress=never", "--report-every=5min", "--color=always", "-v", "t"})
          .output;
  EXPECT_EQ(output.reports, (Arguments{"a.html", "b.json"}));
  EXPECT_TRUE(output.is_json);
  EXPECT_TRUE(output.has_json_progress);
  EXPECT_TRUE(output.is_ascii);
  EXPECT_EQ(output.progress, When::kNever);
  EXPECT_EQ(output.report_every, std::chrono::minutes(5));
  EXPECT_EQ(output.color, When::kAlways);
  EXPECT_EQ(output.verbosity, Verbosity::kVerbose);
}

TEST(Options, reads_those_of_other_commands) {
  const Options copy = parse({"--resume=12", "--new-snapshot", "--sequences"});
  EXPECT_EQ(copy.safety.resume, "12");
  EXPECT_TRUE(copy.safety.takes_new_snapshot);
  EXPECT_EQ(copy.safety.sequences, true);

  const Options resume = parse_all({"resume", "12", "--restart"});
  EXPECT_EQ(resume.command, Command::kResume);
  EXPECT_EQ(resume.id, "12");
  EXPECT_TRUE(resume.safety.restarts);

  EXPECT_TRUE(parse_all({"status", "--watch"}).output.watches);
  EXPECT_TRUE(parse_all({"alter", "4", "--pause"}).speed.is_paused);
  EXPECT_EQ(parse_all({"alter", "4", "--max-rate", "0"}).speed.max_rate_kb, 0);

  const Options append = parse_all({"append", "--every=60s", "--window", "2 hours", "t"});
  EXPECT_EQ(append.repetition.every, std::chrono::seconds(60));
  EXPECT_EQ(append.repetition.window, "2 hours");
  EXPECT_TRUE(parse_all({"plan", "--all"}).selection.all);
}

const CLI::Option &option_of(const CLI::App &app, const char *command, const char *name) {
  return *app.get_subcommand(command)->get_option(name);
}

TEST(Options, has_the_documented_defaults) {
  Options defined;
  NamedConnections named;
  const auto app = define_command_line(defined, named);
  const Options options = parse({"t"});
  EXPECT_EQ(std::to_string(kDefaultJobs), option_of(*app, "copy", "--jobs").get_default_str());
  EXPECT_EQ(options.speed.format, option_of(*app, "copy", "--format").get_default_str());
  EXPECT_EQ(fmt::format("{}s", options.output.report_every.count()),
            option_of(*app, "copy", "--report-every").get_default_str());
  EXPECT_EQ(options.safety.on_error, OnError::kContinue);
  EXPECT_EQ(options.safety.sequences, std::nullopt);
  EXPECT_EQ(options.speed.jobs, std::nullopt);
}

TEST(Options, the_command_line_wins_over_the_environment) {
  EXPECT_EQ(parse({"t"}).connections.source, "dbname=a");
  EXPECT_EQ(parse({"-s", "dbname=c", "t"}).connections.source, "dbname=c");
}

TEST(Options, an_empty_variable_is_none) {
  EXPECT_EQ(complaint({"copy", "t"}, {{"PARALLEL_LOADER_SOURCE", ""}}),
            R"(option "--source" is required | Give --source CONN or set PARALLEL_LOADER_SOURCE.)");
}

TEST(Options, no_source_is_needed_where_none_is_read) {
  for (const Arguments &arguments :
       {Arguments{"status"}, Arguments{"cancel", "4"}, Arguments{"alter", "4", "-j2"}})
    EXPECT_EQ(complaint(arguments, {{"PARALLEL_LOADER_TARGET", "dbname=b"}}), "");
}

TEST(Options, an_empty_value_stays_with_its_option) {
  EXPECT_EQ(parse({"--where=", "t"}).selection.where, "");
  EXPECT_EQ(parse({"--where", "", "t"}).selection.where, "");
}

TEST(Options, arguments_after_two_dashes_are_tables) {
  EXPECT_EQ(parse({"--", "t"}).selection.tables, (Arguments{"t"}));
}

TEST(Options, values_may_look_like_options_or_lists) {
  EXPECT_EQ(parse({"--start", "--end", "t"}).selection.start, "--end");
  EXPECT_EQ(parse({"--start", "[1,2]", "t"}).selection.start, "[1,2]");
  EXPECT_EQ(parse({"--end=-1", "t"}).selection.end, "-1");
  EXPECT_EQ(parse({"[ab].t"}).selection.tables, (Arguments{"[ab].t"}));
}

TEST(Options, knows_what_is_asked_for) {
  EXPECT_EQ(action({"--help"}), Action::kHelp);
  EXPECT_EQ(action({"-?"}), Action::kUsage);
  EXPECT_EQ(action({"--version"}), Action::kVersion);
  EXPECT_EQ(action({"-V"}), Action::kVersion);
  EXPECT_EQ(action({"copy", "--help"}), Action::kCommandHelp);
  EXPECT_EQ(action({"copy", "--help", "a", "b", "--jobs=x"}), Action::kCommandHelp);
  EXPECT_EQ(action({"copy", "-?"}), Action::kCommandUsage);
  for (const CommandText &text : command_texts()) {
    const Invocation invocation = parse_invocation(Arguments{std::string(text.name), "--help"});
    EXPECT_EQ(invocation.action, Action::kCommandHelp);
    EXPECT_EQ(invocation.options.command, text.command);
  }
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
              "parallel-loader COMMAND [OPTION]... [ARGUMENT]..."},
        Wrong{{"copy"},
              "no table is given | Name tables as the last arguments, TABLE or TABLE=TARGET_TABLE, "
              "or "
              "use --schema, --table-list or --all."},
        Wrong{{"status", "1", "2"},
              R"(too many arguments: "2" | Try "parallel-loader status --help".)"},
        Wrong{{"copy", "a", "[ab]"}, R"(pattern "[ab]" cannot be read | Write it as '([ab])'.)"},
        Wrong{{"cancel"}, R"(argument "ID" is required | Give ID.)"},
        Wrong{{"alter", "4"}, "no change is given | Use --jobs, --max-rate or --pause."},
        Wrong{{"copy", "--all", "t"}, R"("TABLE" and "--all" cannot be used together | )" + kTry},
        Wrong{{"copy", "-qv", "t"},
              R"("--quiet" and "--verbose" cannot be used together | )" + kTry},
        Wrong{{"copy", "--truncate", "--resume=4"},
              R"("--truncate" and "--resume" cannot be used together | )" + kTry},
        Wrong{{"copy", "--restart", "t"},
              R"("--restart" can be used with "--resume" only | )" + kTry},
        Wrong{{"copy", "--key-for", "t"}, R"(option "--key-for" needs two values | )" + kTry},
        Wrong{{"copy", "--columns-for", "t", "a,,b", "t"},
              R"(invalid value "a,,b" for option "--columns-for" | Give names as in SQL, with )"
              R"(commas between them: 'id, "Odd Name"'.)"},
        Wrong{{"copy", "--max-rate=5", "t"},
              R"(invalid value "5" for option "--max-rate" | Give what may pass in a second, with )"
              "kB, MB or GB, like 50MB; 0 is no limit."},
        Wrong{{"copy", "--max-rate=3TB", "t"},
              R"(invalid value "3TB" for option "--max-rate" | Give what may pass in a second, )"
              "with kB, MB or GB, like 50MB; 0 is no limit."},
        Wrong{{"append", "--every=1min30s", "t"},
              R"(invalid value "1min30s" for option "--every" | Give seconds, or a time like 30s, )"
              "5min or 1h, from 1s to 24h."},
        Wrong{{"copy", "--jbos=4", "t"}, R"(unrecognized option "--jbos" | )" + kTry},
        Wrong{{"copy", "--frobnicate", "t"}, R"(unrecognized option "--frobnicate" | )" + kTry},
        Wrong{
            {"copy", "-h"},
            R"(unrecognized option "-h" | -h does not show help: use --help, or -? for a short one.)"},
        Wrong{{"copy", "t", "--jobs"}, R"(option "--jobs" needs a value | )" + kTry},
        Wrong{{"copy", "--json=maybe", "t"},
              R"(invalid value "maybe" for option "--json" | Give true or false, or no value.)"},
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
              R"(invalid value "64" for option "--chunk-size" | Give at least 64kB, in kB, MB, GB )"
              "or TB, like 64MB."},
        Wrong{{"copy", "--chunk-size=63kB", "t"},
              R"(invalid value "63kB" for option "--chunk-size" | Give at least 64kB, in kB, MB, )"
              "GB or TB, like 64MB."},
        Wrong{{"copy", "--format=csv", "t"},
              R"(invalid value "csv" for option "--format" | Give auto, text or binary.)"},
        Wrong{{"copy", "--progress=yes", "t"},
              R"(invalid value "yes" for option "--progress" | Give auto, always or never.)"},
        Wrong{{"copy", "--color", "t"},
              R"(invalid value "t" for option "--color" | Give auto, always or never.)"},
        Wrong{
            {"copy", "--report-every=0", "t"},
            R"(invalid value "0" for option "--report-every" | Give seconds, or a time like 30s, )"
            "5min or 1h, from 1s to 24h."},
        Wrong{{"copy", "--columns=a,,b", "t"},
              R"(invalid value "a,,b" for option "--columns" | Give names as in SQL, with commas )"
              R"(between them: 'id, "Odd Name"'.)"}));

TEST(TableArgument, rejects_what_is_no_name) {
  for (const char *const text : {"a.b.c", "a="})
    try {
      (void)parse_table_argument(text);
      ADD_FAILURE() << text;
    } catch (const Failure &failure) {
      EXPECT_EQ(failure.message(), fmt::format("invalid table name \"{}\"", text));
      EXPECT_EQ(failure.hint(), "Give TABLE or SCHEMA.TABLE, quoted as in SQL where needed: "
                                R"('sales."Odd Name"'.)");
    }
}

TEST(TableArgument, folds_case_outside_quotes_only) {
  const TableArgument argument = parse_table_argument(R"(Sales.Orders="A=""B".c)");
  EXPECT_EQ(argument.table, (QualifiedName{"sales", "orders"}));
  EXPECT_EQ(argument.destination, (QualifiedName{"A=\"B", "c"}));
}

TEST(Definition, gives_h_to_nobody) {
  Options options;
  NamedConnections named;
  const auto app = define_command_line(options, named);
  for (const CLI::App *const command : app->get_subcommands({}))
    EXPECT_EQ(command->get_option_no_throw("-h"), nullptr) << command->get_name(); // psql's host
}

TEST(Definition, has_words_and_a_group_for_every_option) {
  Options options;
  NamedConnections named;
  const auto app = define_command_line(options, named);
  for (const CLI::App *const command : app->get_subcommands({}))
    for (const CLI::Option *const option : command->get_options()) {
      EXPECT_FALSE(option->get_description().empty()) << option->get_name();
      EXPECT_FALSE(option->get_group().empty()) << option->get_name();
    }
}

} // namespace
} // namespace parallel_loader
