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
     R"(1. The program connects to the source and finds the tables. If `--start` or `--end` is given, the source
   reads them as values of the key. Times without a zone are UTC, dates are month first.
2. The program connects to the destination and plans a pull for each table with `parallel_pull_create`, the
   biggest first. All pulls read one snapshot. The destination server connects to the source, so the host
   name must be valid there. If it is not, use `--source-on-target`.
3. `--jobs` sessions on the destination call `parallel_pull_work`. Each takes one chunk after the other, of
   any of the tables. A chunk is one transaction.
4. Sequences are set (`--sequences`), and the tables are compared (`--verify`).

Tables must exist on the destination. If one has rows and is to be copied whole, it fails, unless `--truncate`
is given. A table that fails does not stop the others (`--on-error`). At the end, each failure is shown with
the command that goes on with just that. The page `docs/security.md` lists the rights that each command needs.

The first Ctrl-C (or SIGTERM, or a terminal that is closed: SIGHUP) stops the sessions, shows what is done and
the commands that resume or cancel the run. Chunks that are done stay in the tables. The second one ends the
program within a second and shows nothing.
)"},
    {Command::kResume, "resume", "go on with a run that did not finish",
     "parallel-loader resume goes on with a run or a pull that did not finish, from the chunks "
     "that "
     "are done.",
     "[ID]", "resume -s service=old -d service=new 12",
     R"(The id is that of a run, for all its tables, or of one pull, as `status` shows them. Tables that are done stay
as they are. A pull that is alive, because only the program was ended, is joined. If the snapshot of a pull
still exists, the pull goes on under it. If it is gone, a table of which nothing is done is planned anew, and
a table that is partly done is refused: `--new-snapshot` finishes it under a new snapshot, which takes
a pull by ranges of a key, and `--restart` empties the table and copies it again, which takes a table that was
empty at the start. The tables then no longer share one snapshot.

A table that a later pull loads with the same columns and condition is that pull's, also if that belongs to
another run: it counts as done when that pull is done. Otherwise resume that pull. A pull of which
nothing is done is refused if other rows were loaded into its table since it ended: they could be the same.

`--jobs` is for pulls that are joined or begun anew. A pull that has failed goes on with the workers and the rate
that it had.

`--source` is needed if the destination does not keep the password of the source.
)"},
    {Command::kStatus, "status", "show runs, and what to do next",
     "parallel-loader status shows the runs that a destination server knows, the state of each, "
     "and "
     "the command that is next.",
     "[ID]", "status -d service=new --watch",
     R"(Without an id, the runs are listed, if there are several. Of one run, its pulls are listed, with what they wait
for, why they have failed, and how long the snapshot of a failed pull is held. Below them are the commands that
are next.
`--watch` shows the progress of the run, or of the latest one, until it has ended or Ctrl-C. It can be called
from any machine, whatever moves the run.

Users see their own pulls, superusers see all of them.
)"},
    {Command::kCancel, "cancel", "end a run",
     "parallel-loader cancel ends a run or a pull. Chunks that are done stay in the tables.", "ID",
     "cancel -d service=new 12",
     R"(The id is that of a run, for all its pulls, or of one pull. The id of a run is that of its first pull, and
stands for the whole run. Pulls that are done stay as they are. A failed pull lets its snapshot go. A cancelled
pull can be resumed.
)"},
    {Command::kAlter, "alter", "change the speed of a run, or pause it",
     "parallel-loader alter changes a run or a pull while it moves: its workers and its rate.",
     "ID", "alter -d service=new --max-rate 20MB 12",
     R"(The id is that of a run, for all its pulls that have not ended, or of one pull. `--pause` lets all workers wait
where they are, also those of other sessions. `--jobs` lets them continue, and sets how many workers the
destination server itself keeps for the whole run, beside those of sessions. `--max-rate` is the limit of the
whole run.
)"},
    {Command::kPlan, "plan", "show the chunks that tables would be loaded in",
     "parallel-loader plan shows the chunks that tables would be loaded in, and changes nothing.",
     kTables, "plan -s service=old -d service=new sales.orders",
     R"(The plan comes from `parallel_pull_plan`. Rows and sizes are estimates. Warnings of `check` go to standard
error.
)"},
    {Command::kCheck, "check", "find what would keep tables from being loaded",
     "parallel-loader check finds what would keep tables from being loaded, and changes nothing.",
     kTables, "check -s service=old -d service=new sales.orders",
     R"(The items come from `parallel_pull_check`. Errors and warnings are shown, and with `--verbose` all items. The exit
status is 1 if one of them is an error. copy refuses to copy a whole table into one that has rows, of which
this is a warning.
)"},
    {Command::kVerify, "verify", "compare tables on both servers",
     "parallel-loader verify compares tables on both servers, range by range.", kTables,
     "verify -s service=old -d service=new sales.orders",
     R"(The comparison comes from `parallel_pull_verify`: the number of rows and a hash over all values, range by
range. The source is read under one snapshot per table, and the destination as of now, so rows that were
written since are differences. Ranges that differ are listed, and the exit status is 5.
)"},
    {Command::kAppend, "append", "load rows that are new since the last time",
     "parallel-loader append loads the rows of append-only tables that are new since the last "
     "time.",
     kTables, "append -s service=old -d service=new --every 60s events",
     R"(Each table is one call of `parallel_pull_append`, in one transaction. After a `copy` of a table, the first call
takes up where that has ended. With `--every`, a line is written for each table that has got new rows, a table
that fails waits for the next time, and so is a server that is away for a while. Ctrl-C ends it, and what
it was at is undone. Sequences stay as they are: before rows are inserted on the destination, call `sequences`.
)"},
    {Command::kSequences, "sequences", "set sequences to the source's values",
     "parallel-loader sequences sets the sequences of tables to the values that they have on the "
     "source; without a table, those of all tables.",
     "[TABLE[=TARGET_TABLE]]...", "sequences -s service=old -d service=new",
     R"(The values come from `parallel_pull_sequences`: a sequence gets the value of its counterpart on the source.
)"},
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
