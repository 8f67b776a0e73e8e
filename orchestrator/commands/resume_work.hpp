// resume_work: what each pull of a run needs to be done with it.
#pragma once

#include "orchestrator/commands/run_session.hpp"

#include <cstddef>

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

  /// Warns when the tables of the view were read under several snapshots.
  void note_snapshots();

private:
  void resume(size_t table, bool takes_new_snapshot);
  void restart(size_t table);
  void begin_anew(size_t table);
  void add_creation(size_t table, TableTask task);
  void refuse(PullView &pull);

  RunSession &session_;
  const Options &options_;
  RunOrders &orders_;
};

} // namespace parallel_loader
