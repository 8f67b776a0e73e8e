// worker_census: who has the server's background worker slots.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

struct WorkerCensus {
  int limit;        // max_worker_processes
  int used;         // of them
  int coordinators; // of pulls
  int foreign;      // neither ours nor of a parallel query, which ends soon
  int permanent;    // of these, the ones that run as long as the server
  char text[512];   // for people: `8 of 8 are in use: 3 parallel_loader worker, …`
};

/// Counts the processes that have started, by their bgw_type.
WorkerCensus worker_census_take();

} // namespace parallel_loader
