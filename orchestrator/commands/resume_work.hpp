// resume_work: what each pull of a run needs to be done with it.
#pragma once

#include "orchestrator/commands/run_session.hpp"

#include <cstddef>
#include <map>

namespace parallel_loader {

class ResumeWork {
public:
  /// `orders` takes the work.
  ResumeWork(RunSession &session, RunOrders &orders)
      : session_(session), options_(session.options()), orders_(orders) {}

  /// Adds what that table of the view needs, whose pull is in the ledger: nothing, to be joined, to
  /// be resumed or begun anew.  A table that cannot go on without a choice of the user's has a
  /// failure afterwards, which names the ways out.
  void add(size_t table);
  /// Right before the work: empties the tables that are to be loaded again, all of them or none,
  /// and sets the rate of the run that is joined.  A table that could not be loaded has a failure
  /// afterwards, and its rows.
  void prepare();
  /// With --on-error stop: nothing is to be done, as one of the tables has failed.
  [[nodiscard]] bool is_to_stop() const;

private:
  void resume(size_t table, bool takes_new_snapshot);
  [[nodiscard]] bool may_create(PullView &pull);
  void restart(size_t table);
  void look_at_done_tables();
  void look_for_later_rows(const std::vector<size_t> &places);
  void note_replaced(PullView &pull, int64_t other);
  void note_gone(PullView &pull);
  void note_emptied(PullView &pull, const TableTask &task);
  void empty_tables();
  [[nodiscard]] bool shares_run(const PullView &pull);
  [[nodiscard]] bool has_rows_of_others(PullView &pull);
  [[nodiscard]] bool has_later_loader(PullView &pull);
  void add_creation(size_t table, TableTask task);
  void refuse(PullView &pull);
  [[nodiscard]] std::string restart_command(const PullView &pull);
  void leave_to_its_run(PullView &pull);

  RunSession &session_;
  const Options &options_;
  RunOrders &orders_;
  std::vector<size_t> to_restart_;
  std::optional<std::map<int64_t, int64_t>> loaders_since_; // once they were asked for
  std::optional<bool> shares_run_; // the run, whose pulls are looked at, has several
};

/// Puts later pulls of the same rows, perhaps of other runs, in the place of those of `pulls` that
/// ended before they were done.
void follow_successors(ExtensionMover &mover, std::vector<PullView> &pulls);

} // namespace parallel_loader
