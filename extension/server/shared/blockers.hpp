// blockers: which processes of this server wait for a lock, and for whom.
#pragma once

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace parallel_loader {

/// The number of this process among the server's, which finds it without a search.
int own_process_number();

/// True while the process with this number, if it still is `pid`, waits for a lock on an object.
bool waits_for_lock(int process_number, int pid);

/// Adds the processes that `pid` waits for, as pg_blocking_pids names them, to a list of integers.
/// Leaves memory behind, in proportion to max_connections: not for a loop without a context of its
/// own.
List *add_blockers(List *pids, int pid);

} // namespace parallel_loader
