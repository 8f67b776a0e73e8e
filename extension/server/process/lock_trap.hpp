// lock_trap: keeps a caller from waiting for workers that wait for the caller.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// Raises 55006 when this transaction holds a lock that the workers would wait for: on the table,
/// its partitions and partitioned parents, the tables its foreign keys point to, or the ledger. The
/// deadlock detector does not see that wait: the caller sleeps on a latch, not on a lock.
void lock_trap_check_before_start(Oid table);

/// True if some process of the pull waits, directly or through others, for this session.  Looks
/// once a second, however often it is called, and is false in between.
bool lock_trap_is_caught(const SharedPull *pull);

/// Raises 55006 for a pull that waits for this session, and ends the pull if this session started
/// it.
[[noreturn]] void lock_trap_raise(SharedPull *pull);

} // namespace parallel_loader
