#include "orchestrator/cli/command_text.hpp"

#include <algorithm>
#include <array>

namespace parallel_loader {

namespace {

constexpr std::string_view kTables = "TABLE[=TARGET_TABLE]...";

constexpr std::array<CommandText, 10> kTexts{{
    {Command::kCopy, "copy", "load tables",
     "parallel-loader copy loads tables of a source server into existing tables of a destination "
     "server that has the extension parallel_loader.",
     kTables, "copy -s service=old -d service=new --jobs 8 sales.orders",
     R"(1. The program connects to the source and finds the table. If `--start` or `--end` is given, the source
   reads them as values of the key. Times without a zone are UTC, dates are month first.
2. The program connects to the destination and plans the pull with `parallel_pull_create`. It passes the
   resolved connection of the source once, as a parameter of that call. The destination server connects to
   the source, so the host name must be valid there. If it is not, use `--source-on-target`.
3. `--jobs` sessions on the destination call `parallel_pull_work`. Each takes one chunk after the other.
   A chunk is one transaction.

The first Ctrl-C (or SIGTERM) cancels the pull and shows what is done. Chunks that are done stay in the
table. The second one ends the program within a second and shows nothing.
)"},
    {Command::kResume, "resume", "go on with a run that did not finish",
     "parallel-loader resume goes on with a run or a pull that did not finish, from the chunks "
     "that "
     "are done.",
     "[ID]", "resume -s service=old -d service=new 12", ""},
    {Command::kStatus, "status", "show runs, and what to do next",
     "parallel-loader status shows the runs that a destination server knows, the state of each, "
     "and "
     "the command that is next.",
     "[ID]", "status -d service=new --watch", ""},
    {Command::kCancel, "cancel", "end a run",
     "parallel-loader cancel ends a run or a pull. Chunks that are done stay in the tables.", "ID",
     "cancel -d service=new 12", ""},
    {Command::kAlter, "alter", "change the speed of a run, or pause it",
     "parallel-loader alter changes a run or a pull while it moves: its workers and its rate.",
     "ID", "alter -d service=new --max-rate 20MB 12", ""},
    {Command::kPlan, "plan", "show the chunks that tables would be loaded in",
     "parallel-loader plan shows the chunks that tables would be loaded in, and changes nothing.",
     kTables, "plan -s service=old -d service=new sales.orders", ""},
    {Command::kCheck, "check", "find what would keep tables from being loaded",
     "parallel-loader check finds what would keep tables from being loaded, and changes nothing.",
     kTables, "check -s service=old -d service=new sales.orders", ""},
    {Command::kVerify, "verify", "compare tables on both servers",
     "parallel-loader verify compares tables on both servers, range by range.", kTables,
     "verify -s service=old -d service=new sales.orders", ""},
    {Command::kAppend, "append", "load rows that are new since the last time",
     "parallel-loader append loads the rows of append-only tables that are new since the last "
     "time.",
     kTables, "append -s service=old -d service=new --every 60s events", ""},
    {Command::kSequences, "sequences", "set sequences to the source's values",
     "parallel-loader sequences sets the sequences of tables to the values that they have on the "
     "source; without a table, all sequences of the database.",
     "[TABLE[=TARGET_TABLE]]...", "sequences -s service=old -d service=new", ""},
}};

} // namespace

std::span<const CommandText> command_texts() noexcept {
  return kTexts;
}

const CommandText &command_text(Command command) noexcept {
  return *std::ranges::find(kTexts, command, &CommandText::command);
}

std::string_view command_name(Command command) noexcept {
  return command_text(command).name;
}

} // namespace parallel_loader
