// worker: moves chunks of a pull, one after the other, until none is left.
#pragma once

#include "extension/bridge/order.hpp"
#include "extension/server/shared/shared_pull.hpp"
#include "extension/server/shared/shared_work.hpp"

namespace parallel_loader {

struct WorkerTask {
  SharedPull *pull;
  int slot;
  SharedWork *work; // of the session that brought the worker; nullptr: the coordinator did
  const Order &order;
  const SourceAddress &source;
};

/// Runs in a process that is connected to the database and has no transaction open.  What fails for
/// a passing reason is repeated under the order's retry budget.  Does not throw: another failure is
/// kept as the pull's error and, where it concerns a chunk, written to the ledger.  Returns false
/// when the worker failed.
[[nodiscard]] bool run_worker(const WorkerTask &task) noexcept;

/// Sets formats, time-outs and the like for a process that writes rows.
void pin_worker_session(const Order &order);

} // namespace parallel_loader
