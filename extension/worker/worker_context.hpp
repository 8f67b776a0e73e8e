// worker_context: what a worker works with, from its start to its end.
#pragma once

#include "extension/bridge/request.hpp"
#include "extension/server/shared/shared_pull.hpp"
#include "extension/server/shared/shared_session.hpp"

namespace parallel_loader {

/// All of it lives as long as the worker's process.
struct WorkerContext {
  SharedPull *pull;
  int slot;
  SharedSession *session; // of the session that brought the worker; nullptr: the coordinator did
  const Request &request;
  const SourceAddress &source;
};

/// Sets formats, time-outs and the like for a process that writes rows.
void pin_worker_session(const Request &request);

} // namespace parallel_loader
