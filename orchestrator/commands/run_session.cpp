#include "orchestrator/commands/run_session.hpp"

#include "orchestrator/base/output.hpp"
#include "orchestrator/base/shell.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/commands/copy_words.hpp"
#include "orchestrator/commands/own_command.hpp"
#include "orchestrator/commands/swapped_servers.hpp"
#include "orchestrator/display/summary.hpp"
#include "orchestrator/report/json_report.hpp"
#include "orchestrator/report/run_report.hpp"
#include "orchestrator/run/pull_need.hpp"
#include "orchestrator/run/run_figures.hpp"
#include "orchestrator/run/table_pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

namespace parallel_loader {

namespace {

bool is_alive(Mover &mover, int64_t run_id) {
  return std::ranges::any_of(
      mover.read_run(run_id), [](const PullView &pull) { return pull.coordinator_pid != 0; });
}

bool is_done(const PullView &pull) noexcept {
  return pull.state == PullState::kDone;
}

/// No other run is begun in place of one that has ended: its tables would be of another moment, and
/// sessions that have lost their coordinator would not work on it.
int64_t create_pull(Mover &mover, const TableTask &task, const Creation &creation,
                    const TakeNotice &take) {
  try {
    return mover.create(task, creation, take);
  } catch (const Failure &) {
    throw;
  } catch (const Error &error) {
    if (creation.run_id == 0 || error.sqlstate() != "55000" || is_alive(mover, creation.run_id))
      throw;
  }
  throw Error("57P01", fmt::format("run {} takes no more tables: its coordinator has ended",
                                   creation.run_id));
}

std::string were(int64_t tables) {
  return format_number_of(tables, "table") + (tables == 1 ? " was" : " were");
}

} // namespace

RunSession::RunSession(const Options &options, const Terminal &terminal, const Interrupt &interrupt)
    : options_(options), terminal_(terminal),
      interrupt_(interrupt), style_{.verbosity = options.output.verbosity,
                                    .color = choose_color(options.output.color, terminal)},
      waiter_(interrupt) {
  view_.command = command_name(options.command);
  for (const GivenArgument &argument : options.given)
    if (!argument.option.empty())
      view_.options.emplace_back(
          argument.option,
          argument.values.empty() ? "true" : fmt::format("{}", fmt::join(argument.values, " ")));
  view_.started = std::chrono::system_clock::now();
}

ExtensionMover &RunSession::open_destination(std::string source) {
  source_ = std::move(source);
  destination_ = parse_conninfo("destination", options_.connections.destination);
  try {
    mover_.emplace(destination_, source_, waiter_);
  } catch (const Failure &failure) {
    throw explain_swapped(failure, options_.connections, waiter_);
  }
  view_.destination = {.address = mover_->destination().display(),
                       .version = mover_->destination().version()};
  view_.via = mover_->via();
  note("destination: " + view_.destination.address);
  return *mover_;
}

ExtensionMover &RunSession::mover() {
  if (!mover_)
    mover_.emplace(destination_, source_, waiter_);
  return *mover_;
}

std::string RunSession::reach_source_if_named() {
  if (options_.connections.source_on_destination)
    return *options_.connections.source_on_destination;
  if (options_.connections.source.empty())
    return "";
  const SourceTables reached = reach_source(options_, waiter_);
  view_.source = reached.server;
  return source_for_destination(options_, reached);
}

OpenMover RunSession::opener() const {
  return [destination = destination_, source = source_](Waiter &waiter) {
    return std::make_unique<ExtensionMover>(destination, source, waiter);
  };
}

// Each step knows how many are to come: the last one does not let the run wait for more.
PlanStep RunSession::creation(const TableTask &task, bool is_sole) {
  ++*creations_;
  return [task, sole_since = is_sole ? looked_at_ : std::string(), run_id = run_id_,
          creations = creations_, left = tables_left_, continued = continued_run_,
          rate = options_.speed.max_rate_kb](Mover &mover, const TakeNotice &take) {
    --*creations;
    const Creation creation = {.run_id = *run_id,
                               .is_followed = *creations > 0,
                               .tables_to_come = *creations + *left,
                               .continued_run = continued,
                               .is_altered = rate.has_value(),
                               .sole_since = sole_since};
    const int64_t pull_id = create_pull(mover, task, creation, take);
    if (*run_id != 0)
      return pull_id;
    const int64_t ids[] = {pull_id};
    *run_id = mover.read_pulls(ids).at(0).run_id;
    if (rate)
      mover.alter(pull_id, std::nullopt, rate);
    return pull_id;
  };
}

DisplayMode RunSession::display_mode() const {
  if (style_.verbosity == Verbosity::kQuiet && !options_.output.has_json_progress)
    return DisplayMode::kOff;
  return choose_display(options_.output.progress, options_.output.has_json_progress, terminal_);
}

ScreenStyle RunSession::screen_style() const {
  const bool is_ascii = options_.output.is_ascii || !terminal_.has_utf8;
  return {.glyphs = is_ascii ? Glyphs::kAscii : Glyphs::kUnicode, .color = style_.color};
}

void RunSession::for_each_table(std::span<const size_t> tables,
                                const std::function<void(Mover &, size_t)> &work) const {
  work_on_tables(tables, jobs(), opener(), interrupt_, work);
}

void RunSession::require_rights() {
  const Safety &safety = options_.safety;
  mover().require_rights({.alters = options_.speed.max_rate_kb.has_value(),
                          .checks = safety.truncates || safety.restarts || safety.is_dry_run,
                          .verifies = safety.verify != Verification::kNone});
}

void RunSession::try_plans(std::span<const TableTask> tasks, std::span<const size_t> places) {
  std::vector<size_t> numbers(tasks.size());
  std::iota(numbers.begin(), numbers.end(), 0U);
  for_each_table(numbers, [&](Mover &mover, size_t number) {
    std::optional<FailureView> failure;
    try {
      static_cast<void>(mover.plan(tasks[number]));
      failure = failure_of(mover.check(tasks[number]));
    } catch (const Failure &) {
      throw; // of a server
    } catch (const Error &error) {
      if (interrupt_.is_raised())
        throw;
      failure = failure_view(error);
    }
    if (!failure)
      return;
    PullView &pull = view_.pulls[places[number]];
    pull.state = pull.pull_id == 0 ? PullState::kFailed : pull.state;
    pull.failure = std::move(failure);
  });
}

void RunSession::carry_out(const RunOrders &orders) {
  RunDisplay display(display_mode(), screen_style(), options_.output.report_every);
  view_.sessions = orders.session_count;
  mover_.reset(); // a session that idles for hours is one that can be lost
  for (PullView &pull : view_.pulls) {
    pull.rows_before = pull.rows;
    pull.bytes_before = pull.bytes;
  }
  RunWork work(opener(), interrupt_, view_);
  display.begin(view_);
  end_ = work.carry_out(orders,
                        {.update = [&](const RunView &run) { display.update(run); },
                         .note = [&](const std::string &text) { display.say(note_text(text)); }});
  display.end(view_);
  view_.sessions = std::clamp(totals_of(view_).chunks, 1, std::max(1, orders.session_count));
  if (end_.lost) {
    forget_unended();
    throw Failure(*end_.lost);
  }
  if (!options_.output.reports.empty())
    work.read_chunks();
  if (end_.is_interrupted)
    throw interrupted_failure();
}

/// A crash may have taken back what was seen last: only the ledger knows.
void RunSession::forget_unended() {
  for (PullView &pull : view_.pulls)
    if (pull.pull_id != 0 && !is_over(pull)) {
      pull.is_known = false;
      pull.state = PullState::kInterrupted;
    }
}

void RunSession::take_source_of_ledger() {
  if (!source_.empty() || view_.pulls.empty())
    return;
  source_ = view_.pulls.front().source;
  mover_.reset();
}

// The rows are there all the same.
void RunSession::warn_incomplete(const std::string &what, const Error &error,
                                 const std::string &words) {
  is_incomplete_ = true;
  const bool has_way_on = error.hint().empty() && !words.empty();
  warn(Error(error.sqlstate(), what + ": " + error.message(), error.detail(),
             has_way_on ? "Once that is mended: " + command(words) : error.hint()));
}

// A command that is shown twice could be run twice.
void RunSession::tell_failures() const {
  write_message(failures_text(view_, style_, false));
}

void RunSession::warn(const Error &warning) {
  view_.warnings.push_back(warning.message());
  write_message(warning_text(warning, style_));
}

void RunSession::note(const std::string &text) const {
  if (style_.verbosity == Verbosity::kVerbose)
    write_message(note_text(text));
}

std::string RunSession::command(const std::string &words) const {
  return own_command(words + kept_options(words, options_.given), options_.connections);
}

void RunSession::explain_failures() {
  for (PullView &pull : view_.pulls) {
    if (is_done(pull))
      continue;
    if (!pull.failure && is_over(pull))
      pull.failure = failure_view(ending_of(pull));
    if (pull.failure)
      explain_unreachable_source(*pull.failure, options_.connections);
    if (pull.failure && pull.failure->sqlstate == "23503" && pull.failure->hint.empty())
      pull.failure->hint = "Go on with it once the table that it refers to is loaded.";
    if (pull.pull_id != 0 && pull.next_command.empty())
      pull.next_command = next_command_of(pull);
    if (pull.failure && pull.failure->command.empty())
      pull.failure->command = way_on_with(pull);
  }
}

std::string RunSession::next_command_of(const PullView &pull) const {
  if (pull.kind != "append") {
    std::string_view choice;
    if (need_of(pull) == PullNeed::kChoice) {
      if (options_.safety.takes_new_snapshot && has_key_ranges(pull))
        choice = " --new-snapshot";
      else if (options_.safety.restarts && pull.pull_id != pull.run_id)
        choice = " --restart"; // of that one table
    }
    return command(fmt::format("resume {}{}", pull.id, choice));
  }
  const std::optional<TableTask> task = task_of(pull);
  return task && !options_.connections.source.empty() ? command(append_words(*task)) : "";
}

/// As far as that is known: what others have loaded is not to be emptied.
bool RunSession::is_sole_loader(const PullView &pull) {
  try {
    return find_other_loader(mover().destination(), pull.pull_id) == 0;
  } catch (const std::exception &) {
    return false;
  }
}

/// What a resume refuses for good, is to be loaded anew, as far as a command can say it.
std::string RunSession::way_on_with(PullView &pull) {
  const auto says = [&pull](std::string_view words) {
    return pull.failure->message.find(words) != std::string::npos;
  };
  if (says("is not the one that the pull was started from") || says("is not emptied: ") ||
      says(" has loaded rows into table ") || says(" has rows, none of which are of ") ||
      says(", is no longer there") || says(", was empty when pull "))
    return "";
  if (pull.kind == "append")
    return pull.next_command;
  if (!says("cannot be resumed") && !says("was altered since") && !says("is not what it was") &&
      !says("after the snapshot was taken") && !says("is no longer the one that was planned"))
    return pull.next_command;
  const std::optional<TableTask> task = task_of(pull);
  const bool has_rows = pull.chunks_done > 0;
  if (!task || pull.has_bounds || (has_rows && pull.began_empty != true))
    return "";
  if (!has_rows)
    return command(copy_words(*task));
  if (!is_sole_loader(pull))
    return "";
  pull.failure->hint =
      "To empty the table and load it again: " + command(copy_words(*task) + " --truncate");
  return "";
}

/// What sessions met and the ledger does not say.
void RunSession::note_failures_of_sessions() {
  for (const Failure &failure : end_.failures) {
    const bool is_told = (failure_ && failure_->message() == failure.message()) ||
                         std::ranges::any_of(view_.pulls, [&](const PullView &pull) {
                           return pull.failure && pull.failure->message == failure.message();
                         });
    // Who comes after the end of all finds nothing to join, and nothing is missed.
    const bool is_late =
        is_over(view_) && failure.message().find(" cannot be joined: it is ") != std::string::npos;
    if (!is_told && !is_late)
      warn(failure);
  }
}

// A resume exports the same snapshot under another name.  What it shows may repeat, as names do:
// another run has another snapshot.
void RunSession::note_snapshots() {
  std::set<std::pair<int64_t, std::string>> snapshots;
  for (const PullView &pull : view_.pulls)
    if (!pull.snapshot.empty()) {
      if (snapshots.empty())
        view_.snapshot = pull.snapshot;
      snapshots.emplace(pull.run_id,
                        pull.snapshot_state.empty() ? pull.snapshot : pull.snapshot_state);
    }
  const bool has_new_rows = std::ranges::any_of(renewed_, [this](size_t table) {
    const PullView &pull = view_.pulls[table];
    return is_done(pull) || pull.rows != pull.rows_before;
  });
  view_.has_several_snapshots = snapshots.size() > 1 || has_new_rows;
  if (view_.has_several_snapshots)
    warn(Error("01000",
               "the tables of this run do not show one moment of the source: some rows were read "
               "under a new snapshot"));
}

ExitStatus RunSession::status() const {
  if (failure_)
    return failure_->status();
  const RunTotals totals = totals_of(view_);
  if (options_.safety.is_dry_run)
    return totals.failed > 0 ? ExitStatus::kFailed : ExitStatus::kDone;
  if (totals.failed > 0 || totals.done < totals.tables) {
    if (totals.chunks_done == 0 && totals.rows == 0)
      for (const Failure &failure : end_.plan_failures)
        if (failure.status() != ExitStatus::kFailed)
          return failure.status();
    return ExitStatus::kFailed;
  }
  const bool differs = std::ranges::any_of(
      view_.pulls, [](const PullView &pull) { return pull.verify && !pull.verify->matches; });
  if (differs)
    return ExitStatus::kDiffers;
  return is_incomplete_ ? ExitStatus::kFailed : ExitStatus::kDone;
}

/// For commands that only the destination is asked about.
Connections RunSession::without_source() const {
  Connections connections = options_.connections;
  connections.source.clear();
  connections.source_name.clear();
  connections.source_on_destination.reset();
  connections.source_on_destination_name.clear();
  return connections;
}

std::string RunSession::way_on() const {
  const int64_t unbegun = count_unbegun();
  return fmt::format("The run waits to be joined, for 10 minutes or what "
                     "parallel_loader.snapshot_hold says.\n"
                     "To go on: {}\nTo give up: {}{}",
                     unbegun == 0 ? command("resume " + view_.id)
                                  : whole_command(options_, view_.id),
                     own_command("cancel " + view_.id, without_source()),
                     unbegun == 0 ? ""
                                  : fmt::format("\n{} not begun: the first command loads {}, too.",
                                                were(unbegun), unbegun == 1 ? "it" : "them"));
}

bool RunSession::is_server_lost() const {
  return failure_->sqlstate().starts_with("08") || failure_->sqlstate().starts_with("57P");
}

int64_t RunSession::count_unbegun() const {
  return std::ranges::count_if(view_.pulls, is_unbegun);
}

/// Where a server was lost, or nothing was begun before Ctrl-C; any other error would come again.
std::string RunSession::way_to_unbegun() const {
  const int64_t unbegun = count_unbegun();
  if (unbegun == 0 || options_.safety.is_dry_run ||
      (failure_ && !is_server_lost() && !end_.is_interrupted))
    return "";
  return fmt::format("{} not begun. To load {}: {}", were(unbegun), unbegun == 1 ? "it" : "them",
                     whole_command(options_, view_.id));
}

void RunSession::note_incomplete_run(int tables) {
  if (tables == 0)
    return;
  leave_to_come(tables);
  is_incomplete_ = true;
  warn(Error("01000", fmt::format("run {} is not complete: {} not begun", view_.id, were(tables)),
             "The copy command was ended before it had begun with all tables.",
             fmt::format("Call that command again with --resume {}, without --truncate and "
                         "--snapshot.",
                         view_.id)));
}

// The rows are there; a resume looks whether they still are, and does the rest.
void RunSession::explain_unfinished() {
  view_.failure->command = command("resume " + view_.id);
  const auto left = std::ranges::count_if(
      view_.pulls, [](const PullView &pull) { return !pull.verify.has_value(); });
  if (options_.safety.verify != Verification::kNone && left > 0 && view_.failure->detail.empty())
    view_.failure->detail = fmt::format("All rows are loaded; {} not compared.", were(left));
}

ExitStatus RunSession::finish() {
  if (failure_)
    view_.failure = failure_view(*failure_);
  const bool waits = end_.is_interrupted && !view_.id.empty(); // for others to join the run
  if (waits)
    view_.failure->hint = way_on();
  else if (failure_ && (is_server_lost() || interrupt_.is_raised()) && !view_.pulls.empty() &&
           std::ranges::all_of(view_.pulls, is_done))
    explain_unfinished();
  const bool has_unended = std::ranges::any_of(view_.pulls, [](const PullView &pull) {
    return pull.pull_id != 0 && !is_over(pull) && pull.state != PullState::kDone;
  });
  explain_failures();
  note_failures_of_sessions();
  note_snapshots();
  if (!options_.safety.is_dry_run)
    write_message(summary_text(view_, style_));
  write_message(failures_text(view_, style_));
  const std::string rest = way_to_unbegun();
  if (!rest.empty() && !waits)
    write_message(hint_text(rest, style_));
  else if (has_unended && !end_.is_interrupted && !options_.safety.is_dry_run)
    write_message(hint_text(way_on(), style_));
  ExitStatus result = status();
  const bool shows_commands = waits || has_unended || is_incomplete_ || !rest.empty() ||
                              (view_.failure && !view_.failure->command.empty()) ||
                              std::ranges::any_of(view_.pulls, [](const PullView &pull) {
                                return pull.failure && !pull.failure->command.empty();
                              });
  if (shows_commands && leaves_password_out(options_.connections))
    write_message(
        hint_text("Commands are shown without the password that was given here. Have it in a "
                  "password file, a service file, PGPASSWORD or the file of --config.",
                  style_));
  for (const std::string &path : options_.output.reports)
    result = write_report(path, view_, result, style_);
  if (options_.output.is_json)
    return write_result(copy_document(view_, JsonDetail::kRun) + "\n", result);
  const RunTotals totals = totals_of(view_);
  if (totals.tables > 0 && totals.done == totals.tables && !is_incomplete_)
    return write_result(command_tag(view_) + "\n", result);
  return result;
}

} // namespace parallel_loader
