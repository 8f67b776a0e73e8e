// blockers: which processes keep another one waiting for a lock.
#pragma once

#include "extension/postgres.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace parallel_loader {

/// Adds the processes that `pid` waits for, as pg_blocking_pids names them, to a list of integers.
List *add_blockers(List *pids, int pid);

} // namespace parallel_loader
