#include "core/base/pinned_settings.hpp"
#include "core/ledger/lock_class.hpp"

#include "extension/server/process/session.hpp"

#include "extension/server/base/compat.hpp"
#include "extension/server/base/pinned_values.hpp"

extern "C" {
#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
}

namespace parallel_loader {

static void pin(const char *name, const char *value) {
  SetConfigOption(name, value, PGC_SUSET, PGC_S_SESSION);
}

static void pin_all(const PinnedSetting *settings, size_t count) {
  for (size_t index = 0; index < count; index++)
    if (settings[index].since_version <= PG_VERSION_NUM)
      pin(settings[index].name, settings[index].value);
}

void session_pin_settings(const SessionSettings *settings) {
  pin_all(kNoTimeouts, lengthof(kNoTimeouts));
  pin("lock_timeout", "0");
  pin("default_transaction_isolation", "read committed");
  pin("default_transaction_read_only", "off");
  pin("default_transaction_deferrable", "off");
  pin("client_encoding", GetDatabaseEncodingName());
  if (settings == nullptr)
    return;
  pin("DateStyle", psprintf("ISO, %s", settings->date_order));
  pin("TimeZone", settings->timezone);
  pin_all(kTextForms, lengthof(kTextForms));
  pin("search_path", settings->search_path);
  pin("session_replication_role", settings->session_replication_role);
  pinned_values_note();
}

void session_commit_locally() {
  pin("synchronous_commit", "local");
}

void session_commit_asynchronously() {
  pin("synchronous_commit", "off");
}

void session_limit_locks(bool is_limited) {
  pin("lock_timeout", is_limited ? "3s" : "0");
}

// Outside of transactions the server leaves its processes in memory that lasts as long as they do.
void session_reset_memory() {
  static MemoryContext context = nullptr;
  if (context == nullptr)
    context = AllocSetContextCreate(TopMemoryContext, "parallel_loader between transactions",
                                    ALLOCSET_SMALL_SIZES);
  MemoryContextReset(context);
  MemoryContextSwitchTo(context);
}

// While this is set, nobody's code can SET or RESET role or session_authorization (the server flags
// both GUC_NOT_WHILE_SEC_REST).  A transaction has to start without it, and goes back to its user
// and no restriction if it is aborted.
static void forbid_other_roles() {
  SetUserIdAndSecContext(GetSessionUserId(), SECURITY_LOCAL_USERID_CHANGE);
}

static void end_restriction() {
  SetUserIdAndSecContext(GetSessionUserId(), 0);
}

void session_begin() {
  SetCurrentStatementStartTimestamp();
  StartTransactionCommand();
  forbid_other_roles();
  PushActiveSnapshot(GetTransactionSnapshot());
}

// A commit runs code of users: triggers deferred anew, queries of holdable cursors.
void session_commit() {
  if (ActiveSnapshotSet())
    PopActiveSnapshot();
  CommitTransactionCommand();
  end_restriction();
  session_reset_memory();
  pgstat_report_stat(true);
}

void session_abort() {
  HOLD_INTERRUPTS();
  AbortCurrentTransaction();
  session_reset_memory();
  RESUME_INTERRUPTS();
}

void session_next_command() {
  CommandCounterIncrement();
  PopActiveSnapshot();
  PushActiveSnapshot(GetTransactionSnapshot());
}

void session_report_activity(const char *activity) {
  pgstat_report_activity(STATE_RUNNING, activity);
}

void session_force_flush() {
  ForceSyncCommit();
}

void session_hold_cancel() {
  QueryCancelPending = false;
  HOLD_CANCEL_INTERRUPTS();
}

void session_log_failure(int64 pull_id, bool has_begun, const char *message) {
  ereport(LOG, (errmsg("pull " INT64_FORMAT " %s: %s", pull_id,
                       has_begun ? "failed" : "did not begin", message)));
}

void session_log_debug(const char *message) {
  ereport(DEBUG1, (errmsg_internal("%s", message)));
}

void session_log_no_mark(int64 pull_id) {
  ereport(LOG, (errmsg("pull " INT64_FORMAT " leaves no mark for appends: the source did not "
                       "confirm that it has flushed what the snapshot shows",
                       pull_id)));
}

void session_log_notice(int64 pull_id, const char *message) {
  ereport(LOG, (errmsg("pull " INT64_FORMAT ": %s", pull_id, message)));
}

void session_log_stall(int64 pull_id, const char *waiting_for) {
  ereport(LOG, (errmsg("pull " INT64_FORMAT " does not move: %s", pull_id, waiting_for)));
}

static LOCKTAG lock_tag(int64 id, uint16 lock_class) {
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(id >> 32), static_cast<uint32>(id),
                       lock_class);
  return tag;
}

bool session_try_lock_pull(int64 pull_id) {
  const LOCKTAG tag = lock_tag(pull_id, kPullLockClass);
  return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

void session_lock_append(Oid table) {
  const LOCKTAG tag = lock_tag(table, kAppendLockClass);
  StartTransactionCommand(); // waiting for a lock needs one
  LockAcquire(&tag, ExclusiveLock, true, false);
  CommitTransactionCommand(); // of a transaction that ran no statement
}

bool session_try_lock_append(Oid table) {
  const LOCKTAG tag = lock_tag(table, kAppendLockClass);
  return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

bool session_try_lock_resume(int64 pull_id) {
  const LOCKTAG tag = lock_tag(pull_id, kResumeLockClass);
  return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

bool transaction_try_lock_resume(int64 pull_id) {
  const LOCKTAG tag = lock_tag(pull_id, kResumeLockClass);
  return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

void transaction_unlock_resume(int64 pull_id) {
  const LOCKTAG tag = lock_tag(pull_id, kResumeLockClass);
  LockRelease(&tag, ExclusiveLock, false);
}

void session_unlock_resume(int64 pull_id) {
  const LOCKTAG tag = lock_tag(pull_id, kResumeLockClass);
  LockRelease(&tag, ExclusiveLock, true);
}

} // namespace parallel_loader
