// versioned: the names under which the SQL objects of 0.4 know the C functions.  The library of 0.3
// lacks them, so a session that loaded it before an update gets an error and not its old code.  The
// list is closed: what 0.3 did not have needs no second name.
#include "extension/server/base/postgres.hpp"

extern "C" {
#include "fmgr.h"
}

// Each is declared here once more: no header has what the server finds by name.
#define PARALLEL_LOADER_VERSIONED(name)                                                            \
  extern "C" {                                                                                     \
  Datum name(PG_FUNCTION_ARGS);                                                                    \
  PG_FUNCTION_INFO_V1(name##_0_4);                                                                 \
  }                                                                                                \
  Datum name##_0_4(PG_FUNCTION_ARGS) {                                                             \
    return name(fcinfo);                                                                           \
  }

PARALLEL_LOADER_VERSIONED(parallel_loader_live_progress)
PARALLEL_LOADER_VERSIONED(parallel_loader_live_chunks)
PARALLEL_LOADER_VERSIONED(parallel_loader_current_pull)
PARALLEL_LOADER_VERSIONED(parallel_pull)
PARALLEL_LOADER_VERSIONED(parallel_pull_start)
PARALLEL_LOADER_VERSIONED(parallel_pull_create)
PARALLEL_LOADER_VERSIONED(parallel_pull_work)
PARALLEL_LOADER_VERSIONED(parallel_pull_wait)
PARALLEL_LOADER_VERSIONED(parallel_pull_cancel)
PARALLEL_LOADER_VERSIONED(parallel_pull_table)
PARALLEL_LOADER_VERSIONED(parallel_pull_resume)
PARALLEL_LOADER_VERSIONED(parallel_pull_alter)
PARALLEL_LOADER_VERSIONED(parallel_pull_append)
PARALLEL_LOADER_VERSIONED(parallel_pull_plan)
PARALLEL_LOADER_VERSIONED(parallel_pull_verify)
PARALLEL_LOADER_VERSIONED(parallel_pull_check)
PARALLEL_LOADER_VERSIONED(parallel_pull_sequences)
