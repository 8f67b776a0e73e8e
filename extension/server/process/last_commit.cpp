#include "extension/server/process/last_commit.hpp"

extern "C" {
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
}

namespace parallel_loader {

// By SyncCommitLevel; what is less than a local flush is raised to one.
static const char *const kLevels[] = {"local", "local", "remote_write", "on", "remote_apply"};
static_assert(lengthof(kLevels) == SYNCHRONOUS_COMMIT_REMOTE_APPLY + 1);

void last_commit_ask(SharedPull *pull) {
  const auto wanted = static_cast<uint32>(synchronous_commit);
  uint32 asked = pg_atomic_read_u32(&pull->mail.commit_level);
  while (asked < wanted &&
         !pg_atomic_compare_exchange_u32(&pull->mail.commit_level, &asked, wanted)) {
  }
}

void last_commit_give_up(SharedPull *pull) {
  pg_atomic_write_u32(&pull->mail.is_given_up, 1);
  pg_memory_barrier(); // either the coordinator sees this, or a stop sees that it is closing
}

static bool has_standbys(uint32 level) {
  const char *names = GetConfigOption("synchronous_standby_names", false, false);
  return level > SYNCHRONOUS_COMMIT_LOCAL_FLUSH && max_wal_senders > 0 && names[0] != '\0';
}

static void say_waiting(SharedPull *pull, uint32 level) {
  if (has_standbys(level)) {
    shared_pull_set_waiting(
        pull,
        psprintf(
            "a synchronous standby of this server, with its last commit (synchronous_commit = %s)",
            kLevels[level]));
  }
}

void last_commit_begin(SharedPull *pull) {
  QueryCancelPending = false; // it was for what has been ended
  pg_atomic_write_u32(&pull->is_closing, 1);
  pg_memory_barrier();
  uint32 level = pg_atomic_read_u32(&pull->mail.commit_level);
  if (pg_atomic_read_u32(&pull->mail.is_given_up) != 0)
    level = SYNCHRONOUS_COMMIT_LOCAL_FLUSH;
  SetConfigOption("synchronous_commit", kLevels[level], PGC_SUSET, PGC_S_SESSION);
  say_waiting(pull, level);
}

// The wait itself looks at requests to cancel and to terminate whether interrupts are held or not.
void last_commit_seal() noexcept {
  HOLD_INTERRUPTS();
}

static bool is_replicated(uint32 level) {
  const int mode = level == SYNCHRONOUS_COMMIT_REMOTE_WRITE   ? SYNC_REP_WAIT_WRITE
                   : level == SYNCHRONOUS_COMMIT_REMOTE_FLUSH ? SYNC_REP_WAIT_FLUSH
                                                              : SYNC_REP_WAIT_APPLY;
  LWLockAcquire(SyncRepLock, LW_SHARED);
  const XLogRecPtr replicated = WalSndCtl->lsn[mode];
  LWLockRelease(SyncRepLock);
  return XactLastCommitEnd <= replicated;
}

// Whatever is committed after this waits for nobody.
void last_commit_end(SharedPull *pull) {
  const auto level = static_cast<uint32>(synchronous_commit);
  if (has_standbys(level) && !is_replicated(level))
    pg_atomic_write_u32(&pull->is_unreplicated, 1);
  SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_SESSION);
  pg_atomic_write_u32(&pull->is_closing, 0);
  shared_pull_set_waiting(pull, "");
}

void last_commit_unseal() noexcept {
  RESUME_INTERRUPTS();
}

bool last_commit_waits(SharedPull *pull) noexcept {
  char text[kWaitTextSize];
  shared_pull_waiting(pull, text);
  return pg_atomic_read_u32(&pull->is_closing) != 0 && text[0] != '\0';
}

void last_commit_report(const SharedPull *pull) {
  if (pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&pull->is_unreplicated)) == 0)
    return;
  ereport(WARNING,
          (errmsg("canceling the wait for a synchronous standby"),
           errdetail("Pull " INT64_FORMAT " is done and committed on this server, but might not "
                     "have been replicated to the standby.",
                     pull->pull_id)));
}

} // namespace parallel_loader
