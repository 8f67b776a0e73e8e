// run_session: what copy and resume share: the servers, the display, and how a run ends.
#pragma once

#include "orchestrator/base/failure.hpp"
#include "orchestrator/base/message.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/commands/source.hpp"
#include "orchestrator/display/run_display.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/run/destination_tables.hpp"
#include "orchestrator/run/extension_mover.hpp"
#include "orchestrator/run/run_work.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace parallel_loader {

class RunSession {
public:
  RunSession(const Options &options, const Terminal &terminal, const Interrupt &interrupt);

  /// Runs `body`, which brings view() to its end, and writes what has come of it: summary, result,
  /// reports.  Every failure ends up there.
  template <class Body> [[nodiscard]] ExitStatus run(Body &&body) {
    try {
      body();
    } catch (const Failure &failure) {
      failure_ = failure;
    } catch (const Error &error) {
      failure_ = Failure(ExitStatus::kFailed, error);
    }
    // Whatever wait the signal broke off.
    if (failure_ && interrupt_.is_raised())
      failure_ = interrupted_failure();
    return finish();
  }

  /// Connects to the destination; `source` is how that reaches the source, empty: not at all.
  ExtensionMover &open_destination(std::string source);
  /// How the destination is to reach the source, where the options name that; empty where not: the
  /// ledger knows it, but for a password.  Throws as reach_source() does.
  [[nodiscard]] std::string reach_source_if_named();
  /// The session of open_destination().
  [[nodiscard]] ExtensionMover &mover();
  [[nodiscard]] RunView &view() noexcept { return view_; }
  [[nodiscard]] InterruptibleWaiter &waiter() noexcept { return waiter_; }
  [[nodiscard]] bool is_interrupted() const noexcept { return interrupt_.is_raised(); }
  [[nodiscard]] const Options &options() const noexcept { return options_; }
  [[nodiscard]] int jobs() const noexcept { return options_.speed.jobs.value_or(kDefaultJobs); }

  /// Pulls that creation() makes join that run; where it has ended meanwhile, they fail with 57P01.
  void join(int64_t run_id) { *run_id_ = run_id; }
  /// The run that they join; 0: a new one.
  [[nodiscard]] int64_t joined_run() const noexcept { return *run_id_; }
  /// Notes the time: before anything is found out about tables.
  void note_time() { looked_at_ = time_of(mover().destination()); }
  /// That time, as the destination has it.
  [[nodiscard]] const std::string &looked_at() const noexcept { return looked_at_; }
  /// Creates a pull.  The first of a new run sets its rate, and the next ones join it.  A sole one
  /// fails where others have begun to load its table since note_time().
  [[nodiscard]] PlanStep creation(const TableTask &task, bool is_sole);
  /// How many tables of the run this command leaves to others.
  void leave_to_come(int tables) { *tables_left_ = tables; }
  /// Where a new run is begun, it has what that one lacks.
  void continue_run(int64_t run_id) { continued_run_ = run_id; }
  /// The run lacks tables: whoever had selected them has ended before they were begun.
  void note_incomplete_run(int tables);
  /// What comes of this table of the view will not be of the moment that others are of.
  void note_new_snapshot(size_t table) { renewed_.push_back(table); }

  /// Throws 42501 unless the user may call what this command is going to call.
  void require_rights();
  /// Plans and checks what is to be loaded into tables that are emptied before: that would be for
  /// nothing where it fails.  The n-th task is for the table of the view whose number is the n-th
  /// of `places`; each that could not be loaded has a failure afterwards.
  void try_plans(std::span<const TableTask> tasks, std::span<const size_t> places);

  /// Plans and moves, and shows it.
  void carry_out(const RunOrders &orders);

  /// Where no source was given, later calls name the ledger's, which has no password.
  void take_source_of_ledger();

  /// Calls `work` for each, by as many sessions as the run may have: see work_on_tables().
  void for_each_table(std::span<const size_t> tables,
                      const std::function<void(Mover &, size_t)> &work) const;

  /// Those of tables, before the others have their turn.
  void tell_failures() const;
  /// On standard error, and in the view.
  void warn(const Error &warning);
  void note(const std::string &text) const;
  /// The rows are there, and something is missing: `words` are those of the command that does it.
  void warn_incomplete(const std::string &what, const Error &error, const std::string &words = {});

  /// A command for a shell that does `words` with the servers of this one; a copy or a resume does
  /// so as this command was to.
  [[nodiscard]] std::string command(const std::string &words) const;

private:
  [[nodiscard]] OpenMover opener() const;
  [[nodiscard]] DisplayMode display_mode() const;
  [[nodiscard]] ScreenStyle screen_style() const;
  void forget_unended();
  void explain_failures();
  void explain_unfinished();
  void note_failures_of_sessions();
  void note_snapshots();
  [[nodiscard]] ExitStatus status() const;
  [[nodiscard]] ExitStatus finish();
  [[nodiscard]] std::string way_on() const;
  [[nodiscard]] std::string next_command_of(const PullView &pull) const;
  [[nodiscard]] std::string way_on_with(PullView &pull);
  [[nodiscard]] bool is_sole_loader(const PullView &pull);
  [[nodiscard]] std::string way_to_unbegun() const;
  [[nodiscard]] int64_t count_unbegun() const;
  [[nodiscard]] bool is_server_lost() const; // by failure_
  [[nodiscard]] Connections without_source() const;

  const Options &options_;
  const Terminal &terminal_;
  const Interrupt &interrupt_;
  MessageStyle style_;
  InterruptibleWaiter waiter_;
  std::string source_; // as the destination reaches it, with its password
  ConnInfo destination_;
  std::optional<ExtensionMover> mover_;
  std::shared_ptr<int64_t> run_id_ = std::make_shared<int64_t>(0); // the planner's while it runs
  std::shared_ptr<int> creations_ = std::make_shared<int>(0);      // that are to come
  std::shared_ptr<int> tables_left_ = std::make_shared<int>(0);    // see leave_to_come
  int64_t continued_run_ = 0;
  std::string looked_at_;
  RunView view_;
  RunEnd end_;
  std::optional<Failure> failure_;
  bool is_incomplete_ = false;  // some sequences were not set, or tables not compared
  std::vector<size_t> renewed_; // see note_new_snapshot
};

} // namespace parallel_loader
