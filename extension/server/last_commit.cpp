// last_commit: see last_commit.hpp.
#include "extension/server/last_commit.hpp"

extern "C" {
#include "access/xact.h"
#include "replication/syncrep.h"
#include "utils/guc.h"
}

namespace parallel_loader {

// By SyncCommitLevel; what is less than a local flush is raised to one.
static const char *const kLevels[] = {"local", "local", "remote_write", "on", "remote_apply"};
static_assert(lengthof(kLevels) == SYNCHRONOUS_COMMIT_REMOTE_APPLY + 1);

void last_commit_ask(SharedPull *pull) {
  const auto wanted = static_cast<uint32>(synchronous_commit);
  uint32 asked = pg_atomic_read_u32(&pull->commit_level);
  while (asked < wanted && !pg_atomic_compare_exchange_u32(&pull->commit_level, &asked, wanted)) {
  }
}

void last_commit_give_up(SharedPull *pull) {
  pg_atomic_write_u32(&pull->is_given_up, 1);
  pg_memory_barrier(); // either the coordinator sees this, or a stop sees that it is closing
}

static void say_waiting(SharedPull *pull, uint32 level) {
  const char *standbys = GetConfigOption("synchronous_standby_names", false, false);
  if (level > SYNCHRONOUS_COMMIT_LOCAL_FLUSH && standbys[0] != '\0') {
    shared_pull_set_waiting(pull, psprintf("a synchronous standby of this server, as "
                                           "synchronous_commit = %s demands of the last commit",
                                           kLevels[level]));
  }
}

void last_commit_begin(SharedPull *pull) {
  pg_atomic_write_u32(&pull->is_closing, 1);
  pg_memory_barrier();
  uint32 level = pg_atomic_read_u32(&pull->commit_level);
  if (pg_atomic_read_u32(&pull->is_given_up) != 0)
    level = SYNCHRONOUS_COMMIT_LOCAL_FLUSH;
  SetConfigOption("synchronous_commit", kLevels[level], PGC_SUSET, PGC_S_SESSION);
  say_waiting(pull, level);
}

void last_commit_end(SharedPull *pull) {
  pg_atomic_write_u32(&pull->is_closing, 0);
  shared_pull_set_waiting(pull, "");
}

} // namespace parallel_loader
