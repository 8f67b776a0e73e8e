// worker: moves chunks of a pull, one after the other, until none is left.
#pragma once

#include "extension/worker/worker_context.hpp"

namespace parallel_loader {

/// Runs in a process that is connected to the database and has no transaction open.  Transient
/// errors are retried under the request's retry budget.  Another failure is kept as the
/// pull's error and, where it concerns a chunk, written to the ledger.  Returns false when the
/// worker failed.
[[nodiscard]] bool run_worker(const WorkerContext &context);

} // namespace parallel_loader
