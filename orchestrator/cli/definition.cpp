#include "orchestrator/cli/definition.hpp"

#include "orchestrator/cli/command_text.hpp"
#include "orchestrator/cli/value_type.hpp"

#include <CLI/CLI.hpp>

namespace parallel_loader {

namespace {

/// Adds options to one command, all under one heading of its help.
class Group {
public:
  Group(CLI::App &command, std::string heading) : command_(command), heading_(std::move(heading)) {}

  template <class T, class Variable>
  CLI::Option *value(const std::string &names, Variable &variable, const ValueType<T> &type,
                     const std::string &summary, const std::string &fallback = "") {
    // What the environment has is read for all commands, of which one is meant.
    const auto store = [&variable, type, &command = command_](const std::string &text) {
      if (command.parsed())
        variable = *type.read(text);
    };
    // The validator's answer is the hint: see usage_error.cpp.
    const auto check = [type](const std::string &text) {
      return type.read(text) ? std::string() : type.hint;
    };
    return place(command_.add_option_function<std::string>(names, store, summary)->check(check))
        ->type_name(type.name)
        ->default_str(fallback);
  }

  /// One value each time that it is given.
  CLI::Option *list(const std::string &names, std::vector<std::string> &variable,
                    const std::string &type, const std::string &summary) {
    // Without extra arguments it leaves those that follow alone, and brackets in a pattern.
    return place(command_.add_option(names, variable, summary))
        ->type_name(type)
        ->allow_extra_args(false);
  }

  /// TABLE and another value each time that it is given.
  CLI::Option *for_table(const std::string &name, std::vector<ForTable> &variable,
                         const std::string &type, const std::string &summary) {
    const auto store = [&variable](const std::vector<std::string> &values) {
      variable.clear();
      for (size_t index = 0; index + 1 < values.size(); index += 2)
        variable.push_back({values[index], values[index + 1]});
    };
    return place(command_.add_option_function<std::vector<std::string>>(name, store, summary))
        ->type_name("TABLE " + type)
        ->type_size(2)
        ->allow_extra_args(false);
  }

  CLI::Option *flag(const std::string &names, bool &variable, const std::string &summary) {
    return place(command_.add_flag(names, variable, summary));
  }

  template <class Store>
  CLI::Option *flag_with(const std::string &names, Store store, const std::string &summary) {
    return place(command_.add_flag_function(
        names, [store](int64_t count) { store(count > 0); }, summary));
  }

private:
  CLI::Option *place(CLI::Option *option) { return option->group(heading_); }

  CLI::App &command_;
  std::string heading_;
};

void add_destination(Group &group, Connections &connections) {
  group
      .value("-d,--target", connections.destination, text_type("CONN"),
             "server to load into; has extension parallel_loader")
      ->envname("PARALLEL_LOADER_TARGET")
      ->required();
}

enum class Source { kRequired, kOptional };

void add_servers(CLI::App &command, Connections &connections, Source need = Source::kRequired) {
  Group group(command, "Connection");
  group
      .value("-s,--source", connections.source, text_type("CONN"),
             "server to read: a connection string, a postgresql:// URI or service=NAME, or a name "
             "in the file of --config")
      ->envname("PARALLEL_LOADER_SOURCE")
      ->required(need == Source::kRequired);
  add_destination(group, connections);
  group.value("--source-on-target", connections.source_on_destination, text_type("CONN|SERVER"),
              "how the destination server reaches the source: a connection string, a URI or the "
              "name of a foreign server",
              "--source, with service file and password file resolved here");
}

void add_destination_alone(CLI::App &command, Connections &connections) {
  Group group(command, "Connection");
  add_destination(group, connections);
}

void add_tables(CLI::App &command, Selection &selection) {
  CLI::Option *const tables = command.add_option(
      "TABLE", selection.tables,
      "table of the source, quoted as in SQL, or a pattern as in psql: orders, "
      "sales.orders, 'sales.*', '\"Odd Name\"'; TABLE=TARGET_TABLE if its name on "
      "the destination is another");
  Group group(command, "Selection");
  CLI::Option *const schemas =
      group.list("-n,--schema", selection.schemas, "PATTERN",
                 "all tables of the schemas that match; may be given more than once");
  CLI::Option *const all = group.flag("--all", selection.all, "all tables of the database");
  CLI::Option *const list =
      group.value("--table-list", selection.table_list, text_type("FILE"),
                  "a file that names a TABLE on each line, or - for standard input");
  all->excludes(tables)->excludes(schemas)->excludes(list);
  group.list("--exclude", selection.excluded, "PATTERN",
             "leave tables out that match; may be given more than once");
}

void add_parts(CLI::App &command, Selection &selection) {
  Group group(command, "Selection");
  group.value("--key", selection.key, text_type("KEY"),
              R"(column to cut ranges on, spelled as in the catalogs, or ctid, or (a, "B c"))",
              "a unique key; ctid, if rows are not stored in its order");
  group.value("--start", selection.start, text_type("VALUE"),
              "first key to read; times without a zone are UTC", "from the first row");
  group.value("--end", selection.end, text_type("VALUE"), "key to stop before", "to the last row");
  group.value("--where", selection.where, text_type("CONDITION"),
              "only rows that satisfy this SQL condition on the source", "all rows");
  group.value("--columns", selection.columns, columns_type(),
              R"(only these columns, as in SQL: 'id, "Odd Name"')",
              "all that the destination does not generate");
  group.for_table("--key-for", selection.keys, "KEY", "--key for one of the tables");
  group.for_table("--where-for", selection.conditions, "CONDITION",
                  "--where for one of the tables");
  group.for_table("--columns-for", selection.columns_of, "LIST", "--columns for one of the tables");
}

void add_selection(CLI::App &command, Selection &selection) {
  add_tables(command, selection);
  add_parts(command, selection);
}

void add_jobs(CLI::App &command, Speed &speed, const std::string &summary) {
  Group(command, "Speed")
      .value("-j,--jobs", speed.jobs, number_type(1, 256), summary + ", up to 256",
             std::to_string(kDefaultJobs));
}

void add_chunks(CLI::App &command, Speed &speed) {
  Group group(command, "Speed");
  group.value("--chunk-size", speed.chunk_size, size_type(), "size of a chunk, for example 64MB",
              "setting parallel_loader.chunk_size of the destination");
  group.value("--format", speed.format,
              choice_type<std::string>({{"auto", "auto"}, {"text", "text"}, {"binary", "binary"}}),
              "how values are copied", "auto");
}

CLI::Option *add_rate(CLI::App &command, Speed &speed) {
  return Group(command, "Speed")
      .value("--max-rate", speed.max_rate_kb, rate_type(),
             "what all workers together read in a second at most, for example 50MB", "no limit");
}

CLI::Option *add_on_error(CLI::App &command, Safety &safety) {
  return Group(command, "Safety")
      .value("--on-error", safety.on_error,
             choice_type<OnError>({{"stop", OnError::kStop}, {"continue", OnError::kContinue}}),
             "after a table has failed, or is not there: stop, or go on with the others",
             "continue");
}

void add_ending(CLI::App &command, Safety &safety) {
  Group group(command, "Safety");
  group.value("--verify", safety.verify,
              choice_type<Verification>({{"none", Verification::kNone},
                                         {"count", Verification::kCount},
                                         {"checksum", Verification::kChecksum}}),
              "compare both sides afterwards: numbers of rows, or all values; both read all rows",
              "none");
  group
      .flag_with(
          "--sequences,!--no-sequences", [&safety](bool value) { safety.sequences = value; },
          "set the sequences of the tables to the values that they have on the source")
      ->default_str("where whole tables are copied");
}

CLI::Option *add_snapshot(CLI::App &command, Safety &safety) {
  return Group(command, "Safety")
      .value("--snapshot", safety.snapshot, text_type("NAME"),
             "read this snapshot, which another session of the source has exported");
}

struct GoingOn {
  CLI::Option *new_snapshot;
  CLI::Option *restart;
};

GoingOn add_going_on(CLI::App &command, Safety &safety) {
  Group group(command, "Safety");
  CLI::Option *const new_snapshot =
      group.flag("--new-snapshot", safety.takes_new_snapshot,
                 "if the snapshot is gone: finish tables under a new one, by ranges of their keys");
  CLI::Option *const restart = group.flag(
      "--restart", safety.restarts,
      "if the snapshot is gone: empty tables that were partly loaded, and load them anew");
  restart->excludes(new_snapshot);
  return {new_snapshot, restart};
}

void add_report_every(Group &group, Output &output) {
  group.value("--report-every", output.report_every, duration_type(), "time between dated lines",
              "30s");
}

void add_progress(CLI::App &command, Output &output) {
  Group group(command, "Output");
  const auto when = choice_type<When>(
      {{"auto", When::kAuto}, {"always", When::kAlways}, {"never", When::kNever}});
  group.value("--progress", output.progress, when, "a bar on a terminal, dated lines elsewhere",
              "auto");
  add_report_every(group, output);
  group.flag("--json-progress", output.has_json_progress,
             "write progress to standard error as one JSON document a second");
  group.list("--report", output.reports, "FILE",
             "write a report: FILE.html to look at, FILE.json for programs; may be given more than "
             "once");
}

void add_words(CLI::App &command, Output &output) {
  Group group(command, "Output");
  group.flag("--json", output.is_json, "write one JSON document to standard output");
  group.flag("--ascii", output.is_ascii, "bars and lines of ASCII characters alone");
  group.value("--color", output.color,
              choice_type<When>(
                  {{"auto", When::kAuto}, {"always", When::kAlways}, {"never", When::kNever}}),
              "color on standard error", "auto");
  const auto set = [&output](Verbosity verbosity) {
    return [&output, verbosity](bool value) {
      if (value)
        output.verbosity = verbosity;
    };
  };
  CLI::Option *const quiet =
      group.flag_with("-q,--quiet", set(Verbosity::kQuiet), "no progress and no summary");
  group
      .flag_with("-v,--verbose", set(Verbosity::kVerbose),
                 "connections (without passwords), choices, SQLSTATEs")
      ->excludes(quiet);
}

CLI::Option *add_id(CLI::App &command, Options &options, const std::string &summary) {
  return command.add_option("ID", options.id, summary);
}

void define_copy(CLI::App &command, Options &options) {
  add_servers(command, options.connections);
  add_selection(command, options.selection);
  add_jobs(command, options.speed, "sessions on the destination, one worker each");
  add_chunks(command, options.speed);
  add_rate(command, options.speed);
  Group group(command, "Safety");
  CLI::Option *const dry_run =
      group.flag("--dry-run", options.safety.is_dry_run, "show what would be done, and do nothing");
  CLI::Option *const truncate =
      group.flag("--truncate", options.safety.truncates, "empty the destination's tables first");
  add_on_error(command, options.safety);
  add_ending(command, options.safety);
  CLI::Option *const snapshot = add_snapshot(command, options.safety);
  CLI::Option *const resume =
      group.value("--resume", options.safety.resume, text_type("ID"),
                  "go on with this run or pull, as the command resume does");
  truncate->excludes(resume);
  snapshot->excludes(resume);
  dry_run->excludes(resume);
  const GoingOn going_on = add_going_on(command, options.safety);
  going_on.new_snapshot->needs(resume);
  going_on.restart->needs(resume);
  add_progress(command, options.output);
  add_words(command, options.output);
}

void define_resume(CLI::App &command, Options &options) {
  add_id(command, options, "run or pull to go on with; without one: the latest run");
  add_servers(command, options.connections, Source::kOptional);
  add_jobs(command, options.speed, "sessions on the destination, one worker each");
  add_rate(command, options.speed);
  add_on_error(command, options.safety);
  add_ending(command, options.safety);
  add_going_on(command, options.safety);
  add_progress(command, options.output);
  add_words(command, options.output);
}

void define_status(CLI::App &command, Options &options) {
  add_id(command, options, "run or pull to show; without one: all runs");
  add_destination_alone(command, options.connections);
  Group group(command, "Output");
  group.flag("--watch", options.output.watches, "show it anew every second until it has ended");
  add_report_every(group, options.output);
  add_words(command, options.output);
}

void define_cancel(CLI::App &command, Options &options) {
  add_id(command, options, "run or pull to cancel")->required();
  add_destination_alone(command, options.connections);
  add_words(command, options.output);
}

void define_alter(CLI::App &command, Options &options) {
  add_id(command, options, "run or pull to change")->required();
  add_destination_alone(command, options.connections);
  Group group(command, "Speed");
  CLI::Option *const jobs =
      group.value("-j,--jobs", options.speed.jobs, number_type(1, 256),
                  "workers that the destination server keeps itself; also ends a pause");
  add_rate(command, options.speed)->default_str("unchanged; 0: no limit");
  group.flag("--pause", options.speed.is_paused, "nothing is copied until --jobs is given")
      ->excludes(jobs);
  add_words(command, options.output);
}

void define_plan(CLI::App &command, Options &options) {
  add_servers(command, options.connections);
  add_selection(command, options.selection);
  add_jobs(command, options.speed, "workers that a pull of the table would have");
  add_chunks(command, options.speed);
  add_snapshot(command, options.safety);
  add_on_error(command, options.safety);
  add_words(command, options.output);
}

void define_verify(CLI::App &command, Options &options) {
  add_servers(command, options.connections);
  add_selection(command, options.selection);
  add_jobs(command, options.speed, "workers that compare a table");
  add_chunks(command, options.speed);
  add_on_error(command, options.safety);
  add_words(command, options.output);
}

void define_append(CLI::App &command, Options &options) {
  add_servers(command, options.connections);
  add_selection(command, options.selection);
  add_jobs(command, options.speed, "workers that append to a table");
  Group group(command, "Repetition");
  group.value("--every", options.repetition.every, duration_type(),
              "append again after this time, until Ctrl-C, for example 60s", "once");
  group.value("--window", options.repetition.window, text_type("DISTANCE"),
              "how far below the highest key new rows may have theirs, for example 1000 or "
              "'2 hours'",
              "any distance: the whole table is read");
  add_on_error(command, options.safety);
  add_words(command, options.output);
}

void define_sequences(CLI::App &command, Options &options) {
  add_servers(command, options.connections);
  add_tables(command, options.selection);
  add_on_error(command, options.safety);
  add_words(command, options.output);
}

void define(Command which, CLI::App &command, Options &options) {
  switch (which) {
  case Command::kCopy:
    return define_copy(command, options);
  case Command::kResume:
    return define_resume(command, options);
  case Command::kStatus:
    return define_status(command, options);
  case Command::kCancel:
    return define_cancel(command, options);
  case Command::kAlter:
    return define_alter(command, options);
  case Command::kPlan:
  case Command::kCheck:
    return define_plan(command, options);
  case Command::kVerify:
    return define_verify(command, options);
  case Command::kAppend:
    return define_append(command, options);
  case Command::kSequences:
    return define_sequences(command, options);
  }
}

} // namespace

std::unique_ptr<CLI::App> define_command_line(Options &options, NamedConnections &connections) {
  auto app = std::make_unique<CLI::App>("", "parallel-loader");
  app->set_help_flag("--help", "show this help")->group("Other");
  app->require_subcommand(1);
  for (const CommandText &text : command_texts()) {
    CLI::App &command = *app->add_subcommand(std::string(text.name), std::string(text.summary));
    define(text.command, command, options);
    command.get_help_ptr()->group("Other");
    command.add_flag("-?")
        ->description("show usage and the names of the options alone")
        ->group("Other");
  }
  app->add_flag("-?")->description("show the usage and the commands alone")->group("Other");
  app->add_flag("-V,--version")->description("show the version")->group("Other");
  add_config_file(*app, connections, options.connections.config_selects);
  return app;
}

} // namespace parallel_loader
