// options: what the user asked for: the command, and the options of all commands in one place.
#pragma once

#include "orchestrator/base/message.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/run/run_view.hpp"

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

enum class Command {
  kCopy,
  kResume,
  kStatus,
  kCancel,
  kAlter,
  kPlan,
  kCheck,
  kVerify,
  kAppend,
  kSequences,
};

/// The word on the command line.
[[nodiscard]] std::string_view command_name(Command command) noexcept;

struct Connections {
  std::string source; // conninfo or URI; with its password, so never for people; empty: none
  std::string destination;
  std::optional<std::string> source_on_destination; // conninfo, URI or the name of a foreign server

  std::string config;          // the file of --config; empty: none
  bool config_selects = false; // that file names tables, or says that they are emptied
  // The names that were given, where that file has what they stand for; empty else.
  std::string source_name;
  std::string destination_name;
  std::string source_on_destination_name;
};

/// The value of `--key-for`, `--where-for`, `--columns-for`.
struct ForTable {
  std::string table; // as given, like the names in Selection::tables
  std::string value;

  friend bool operator==(const ForTable &, const ForTable &) = default;
};

/// Which tables, and which part of each.
struct Selection {
  std::vector<std::string> tables;       // as given: TABLE or PATTERN, perhaps with =TARGET_TABLE
  std::vector<std::string> schemas;      // patterns
  bool all = false;                      // all that are not the system's
  std::optional<std::string> table_list; // a file with a TABLE a line; `-`: standard input
  std::vector<std::string> excluded;     // patterns

  // Of every table.
  std::optional<std::string> key;
  std::optional<std::string> start;
  std::optional<std::string> end;
  std::optional<std::string> where;
  std::optional<std::vector<std::string>> columns; // unquoted

  // Of one, before what holds for every table.
  std::vector<ForTable> keys;
  std::vector<ForTable> conditions;
  std::vector<ForTable> columns_of; // values as SQL has lists of names
};

/// True if it names any, be it by patterns.
[[nodiscard]] bool selects_tables(const Selection &selection);

struct Speed {
  std::optional<int> jobs;               // not given: kDefaultJobs, and for `alter` no change
  std::optional<std::string> chunk_size; // as the extension reads it, for example 128MB
  std::string format = "auto";
  std::optional<int> max_rate_kb; // a second; 0: no limit
  bool is_paused = false;         // alter
};

inline constexpr int kDefaultJobs = 4;

enum class OnError { kStop, kContinue };

struct Safety {
  bool is_dry_run = false;
  bool truncates = false;
  OnError on_error = OnError::kContinue;
  Verification verify = Verification::kNone;
  std::optional<bool> sequences;       // not given: where whole tables are copied
  std::optional<std::string> resume;   // copy: the id of a run or pull
  std::optional<std::string> snapshot; // of the source, exported by another session
  bool takes_new_snapshot = false;
  bool restarts = false;
};

struct Output {
  When progress = When::kAuto;
  When color = When::kAuto;
  Verbosity verbosity = Verbosity::kNormal;
  bool is_json = false;
  bool has_json_progress = false;
  bool is_ascii = false;
  bool watches = false;             // status
  std::vector<std::string> reports; // files: .html or .json
  std::chrono::seconds report_every{30};
};

/// Of `append`.
struct Repetition {
  std::optional<std::chrono::seconds> every; // not given: once
  std::optional<std::string> window;
};

/// An option with its values, if it takes some, or tables.
struct GivenArgument {
  std::string option; // empty: tables
  std::vector<std::string> values;
};

struct Options {
  Command command = Command::kCopy;
  std::string id; // of a run or a pull; empty: the latest
  Connections connections;
  Selection selection;
  Speed speed;
  Safety safety;
  Output output;
  Repetition repetition;
  std::vector<GivenArgument> given; // without servers, whose connection strings may hold passwords
};

enum class Action {
  kRun,
  kHelp, // long, and the next two short
  kUsage,
  kCommandUsage,
  kCommandHelp,
  kVersion,
  kGenerate,       // a manual or completions, for packages
  kCompleteTables, // for shells
};

struct Invocation {
  Action action = Action::kRun;
  Options options; // where the action is kRun; its command also for help about one
  std::vector<std::string> arguments; // of the last two actions
};

/// Reads the arguments after the program's name and the environment.  Throws Failure kUsage, whose
/// message says what is wrong and whose hint says what to do.
[[nodiscard]] Invocation parse_invocation(std::span<const std::string> arguments);

/// The source of a command line that is not finished; empty: none.
[[nodiscard]] std::string source_given(std::span<const std::string> arguments);

} // namespace parallel_loader
