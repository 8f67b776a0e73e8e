#include "orchestrator/commands/copy_command.hpp"

#include "core/connection/connection_error.hpp"

#include "orchestrator/base/output.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/display/report.hpp"
#include "orchestrator/run/outcome.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace parallel_loader {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kPollPeriod{200};
/// The extension promises that workers end within 5 s of a cancel; then we leave without them.
constexpr seconds kCancelPatience{10};
/// A server that has crashed is there again after a moment, or only after a long recovery.
constexpr seconds kRestartPatience{5};

CopyRequest copy_request(const Options &options, const SourceView &source, const TableInfo &table) {
  return {.source =
              options.connections.source_on_destination.value_or(source.conninfo.to_conninfo()),
          .table = table.oid,
          .source_table = source.table.quoted(),
          .key = source.key,
          .columns = options.selection.columns,
          .filter = source.filter,
          .workers = options.speed.jobs.value_or(kDefaultJobs),
          .format = options.speed.format,
          .chunk_size = options.speed.chunk_size};
}

/// We have just reached the source ourselves, so it may be the address that differs over there.
Failure explain_unreachable_source(const Failure &failure, const Options &options) {
  const bool is_address = failure.hint().starts_with(kUnreachableHint); // and no other reason
  if (failure.status() != ExitStatus::kSourceUnreachable ||
      options.connections.source_on_destination || failure.sqlstate() != sqlstate::kCannotConnect ||
      !is_address)
    return failure;
  return {failure.status(),
          Error(failure.sqlstate(), failure.message(), failure.detail(),
                "The destination server connects to the source itself. If it reaches the source "
                "under another address, give that one with --source-on-target.")};
}

/// What this version copies: whatever else the options ask for is not done silently.
TableArgument single_table(const Options &options) {
  const Selection &selection = options.selection;
  const Safety &safety = options.safety;
  if (!selection.schemas.empty() || selection.all || selection.table_list ||
      !selection.excluded.empty() || !selection.keys.empty() || !selection.conditions.empty() ||
      !selection.columns_of.empty() || options.speed.max_rate_kb || safety.is_dry_run ||
      safety.truncates || safety.verify != Verification::kNone || safety.sequences ||
      safety.resume || safety.snapshot || options.output.has_json_progress ||
      !options.output.reports.empty())
    throw usage_failure("an option is given that this version does not have yet",
                        "See docs/cli.md.");
  if (selection.tables.size() != 1)
    throw usage_failure(fmt::format("too many arguments: \"{}\" follows table \"{}\"",
                                    selection.tables[1], selection.tables[0]),
                        "This version copies one table per call: run it once for each.");
  return parse_table_argument(selection.tables.front());
}

} // namespace

CopyCommand::CopyCommand(const Options &options, const Terminal &terminal,
                         const Interrupt &interrupt)
    : options_(options), table_(single_table(options)), terminal_(terminal),
      interrupt_(interrupt), style_{.verbosity = options.output.verbosity,
                                    .color = choose_color(options.output.color, terminal)} {}

ExitStatus CopyCommand::run() {
  std::optional<Failure> failure;
  try {
    load();
  } catch (const Failure &thrown) {
    failure = thrown;
  } catch (const Error &error) {
    failure = Failure(ExitStatus::kFailed, error);
  }
  // Whatever wait the signal broke off.
  if (failure && interrupt_.is_raised() && failure->sqlstate() == "57014")
    failure = interrupted_failure();
  run_.elapsed = std::chrono::duration_cast<milliseconds>(Clock::now() - started_at_);
  if (failure && !has_ended(run_.state) && !look_again())
    end_without_ledger(failure->status());
  if (failure && run_.state == RunState::kDone) { // all rows are there: the loss came after them
    write_message(warning_text(*failure, style_));
    failure.reset();
  }
  return report(failure);
}

/// The session that watched is lost, and with a crash the newest chunks may be, too: only the
/// ledger knows.  Returns false when it could not be asked.
bool CopyCommand::look_again() {
  if (run_.pull_id == 0 || run_.is_left_alive)
    return false;
  constexpr milliseconds kPause{100};
  const Clock::time_point gives_up_at = Clock::now() + kRestartPatience;
  InterruptibleWaiter waiter(interrupt_);
  if (interrupt_.is_raised())
    waiter.hold_on();
  do {
    try {
      Destination destination = Destination::open(
          parse_conninfo("destination", options_.connections.destination), waiter);
      take(destination.read_pull(run_.pull_id));
      if (has_ended(run_.state))
        return true;
      destination.cancel_pull(run_.pull_id); // nobody is left to watch it
    } catch (const Error &) {
      // It is not there yet, or not any more.
    }
    std::this_thread::sleep_for(kPause);
  } while (Clock::now() < gives_up_at && !interrupt_.is_raised());
  return false;
}

void CopyCommand::end_without_ledger(ExitStatus status) {
  if (run_.is_left_alive) { // what was in flight does not count
    run_.row_count = pull_.done_row_count;
    run_.byte_count = pull_.done_byte_count;
    return;
  }
  run_.is_known = run_.pull_id == 0;
  if (status == ExitStatus::kInterrupted)
    run_.state = RunState::kCancelled;
  else
    run_.state = run_.is_known ? RunState::kFailed : RunState::kInterrupted;
}

void CopyCommand::load() {
  const ConnInfo destination = parse_conninfo("destination", options_.connections.destination);
  InterruptibleWaiter waiter(interrupt_);
  const SourceView source = inspect_source(options_, table_, waiter);
  run_.table = source.table.display();
  run_.estimated_bytes = source.estimated_bytes;
  note(fmt::format("source: {}", source.conninfo.display()));

  PullControl control(destination, interrupt_);
  note(fmt::format("destination: {}", control.display()));
  run_.function_schema = control.schema();
  plan(control, source);
  move(control, destination);
}

void CopyCommand::tell_cut(const std::vector<CutName> &names) const {
  for (const CutName &name : names)
    write_message(warning_text(Error("42622", fmt::format("identifier \"{}\" will be truncated to "
                                                          "\"{}\"",
                                                          name.given, name.cut)),
                               style_));
}

void CopyCommand::plan(PullControl &control, const SourceView &source) {
  const TableInfo table = control.find_table(table_.destination);
  run_.destination = table.name.display();
  tell_cut(source.cut_names);
  if (const CutName cut = {table_.destination.name, table.name.name};
      cut.given != cut.cut && std::ranges::find(source.cut_names, cut) == source.cut_names.end())
    tell_cut({cut});
  const CopyRequest request = copy_request(options_, source, table);
  run_.needs_password = request.source.find("password") != std::string::npos;
  try {
    control.create(
        request,
        [this](std::string_view message, std::string_view hint) {
          write_message(
              warning_text(Error("01000", std::string(message), {}, std::string(hint)), style_));
        });
  } catch (const Failure &failure) {
    throw explain_unreachable_source(failure, options_);
  }
  run_.pull_id = control.pull_id();
  refresh(control);
  run_.session_count = std::clamp(run_.chunk_count, 1, options_.speed.jobs.value_or(kDefaultJobs));
  note(fmt::format("pull {}: table \"{}\", key {}, format {}, {}, {}", run_.pull_id, run_.table,
                   pull_.key.empty() ? "none" : pull_.key, pull_.format,
                   format_number_of(run_.chunk_count, "chunk"),
                   format_number_of(run_.session_count, "job")));
  if (source.filter)
    note(fmt::format("rows: {}", *source.filter));
}

void CopyCommand::move(PullControl &control, const ConnInfo &destination) {
  const ProgressMode mode = options_.output.verbosity == Verbosity::kQuiet
                                ? ProgressMode::kOff
                                : choose_progress(options_.output.progress, terminal_);
  ProgressDisplay display(
      mode,
      {.glyphs = terminal_.has_utf8 ? Glyphs::kUnicode : Glyphs::kAscii, .color = style_.color},
      options_.output.report_every);
  SessionPool pool(destination, run_.pull_id, run_.session_count);
  display.begin(run_);
  follow(control, pool, display);
  settle(control);
  display.end(run_);

  const std::vector<Failure> failures = pool.failures();
  const std::optional<Failure> reason = judge_pull(
      run_.pull_id, pull_, failures, interrupt_.is_raised() ? Asked::kToStop : Asked::kNothing);
  // Those that did not decide the outcome: a session lost while the others did its work, or, for
  // who wants to know all, what else went wrong.
  for (const Failure &failure : failures)
    if (!reason ||
        (style_.verbosity == Verbosity::kVerbose && failure.message() != reason->message()))
      write_message(warning_text(failure, style_));
  if (reason)
    throw explain_unreachable_source(*reason, options_);
  if (!pull_.warning.empty())
    write_message(
        warning_text(Error("01000", fmt::format("pull {} {}", run_.pull_id, pull_.warning), {},
                           "To append to the table, empty it and pull it again."),
                     style_));
}

void CopyCommand::follow(PullControl &control, SessionPool &pool, ProgressDisplay &display) {
  std::optional<Clock::time_point> patience_ends_at;
  while (!pool.is_finished()) {
    // Once raised it stays readable, so it is waited for only once.
    wait_for_any({patience_ends_at ? -1 : interrupt_.fd(), pool.finished_fd()}, kPollPeriod);
    if (interrupt_.is_raised() && !patience_ends_at) {
      patience_ends_at = Clock::now() + kCancelPatience;
      display.note(fmt::format("cancelling pull {}; a second interrupt leaves within a second",
                               run_.pull_id));
      // Without its sessions the pull moves nothing any more, whatever becomes of it.
      if (!control.cancel())
        pool.abandon();
    }
    if (patience_ends_at && Clock::now() > *patience_ends_at)
      pool.abandon();
    for (const std::string &notice : pool.take_notices())
      display.note(notice);
    refresh(control);
    display.update(run_);
  }
}

void CopyCommand::settle(PullControl &control) {
  constexpr milliseconds kPause{20};
  const auto wait_for_end = [&](milliseconds patience) {
    const Clock::time_point gives_up_at = Clock::now() + patience;
    refresh(control);
    while (!has_ended(run_.state) && Clock::now() < gives_up_at) {
      std::this_thread::sleep_for(kPause);
      refresh(control);
    }
  };
  if (!control.refusal()) {
    // The ledger gets its last word after the sessions got theirs.
    wait_for_end(seconds(3));
    // No session works on it any more: it must not wait for others and hold its snapshot.
    if (!has_ended(run_.state) && control.cancel())
      wait_for_end(kCancelPatience);
  }
  refresh(control);
  if (control.refusal() && !has_ended(run_.state))
    tell_refusal(*control.refusal());
}

void CopyCommand::tell_refusal(const Error &refusal) {
  run_.is_left_alive = true;
  write_message(warning_text(
      Error(refusal.sqlstate(), fmt::format("pull {} could not be cancelled", run_.pull_id),
            fmt::format("{}\nNo session works on it any more. It holds its snapshot on the source "
                        "until it is cancelled, or until no session has worked on it for "
                        "parallel_loader.snapshot_hold.",
                        refusal.message()),
            refusal.hint()),
      style_));
}

void CopyCommand::refresh(PullControl &control) {
  take(control.read());
  run_.elapsed = std::chrono::duration_cast<milliseconds>(Clock::now() - started_at_);
  run_.rate_bytes_per_s = rate_.add(run_.elapsed, run_.byte_count);
}

void CopyCommand::take(const PullStatus &pull) {
  pull_ = pull;
  run_.state = pull_.state;
  run_.row_count = pull_.row_count;
  run_.byte_count = pull_.byte_count;
  run_.chunk_count = pull_.chunk_count;
  run_.chunk_done_count = pull_.chunk_done_count;
  run_.is_held = pull_.is_held;
  run_.has_block_ranges = pull_.key == "ctid";
}

ExitStatus CopyCommand::report(const std::optional<Failure> &failure) const {
  const Failure *reason = failure ? &*failure : nullptr;
  if (run_.pull_id != 0 && style_.verbosity != Verbosity::kQuiet)
    write_message(summary_text(run_, reason, style_.color));
  if (reason != nullptr)
    write_message(error_text(*reason, style_));
  if (const auto hint = leftover_hint(run_))
    write_message(hint_text(*hint, style_));

  const ExitStatus status = reason == nullptr ? ExitStatus::kDone : reason->status();
  if (options_.output.is_json)
    return write_result(json_document(run_, reason) + "\n", status);
  return reason == nullptr ? write_result(command_tag(run_) + "\n", status) : status;
}

void CopyCommand::note(const std::string &text) const {
  if (style_.verbosity == Verbosity::kVerbose)
    write_message(note_text(text));
}

} // namespace parallel_loader
