#include "extension/server/process/lock_trap.hpp"

#include "extension/server/base/compat.hpp"
#include "extension/server/shared/blockers.hpp"
#include "extension/server/shared/mailbox.hpp"
#include "extension/server/shared/worker_slots.hpp"
#include "extension/server/sql/destination_table.hpp"

extern "C" {
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"
}

namespace parallel_loader {

// Workers take RowExclusiveLock on what they write and, for foreign keys, RowShareLock on what they
// look up; these are the weakest locks that conflict with each.
static constexpr LOCKMODE kConflictsWithWrite = ShareLock;
static constexpr LOCKMODE kConflictsWithLookUp = ExclusiveLock;

static bool holds_lock(Oid table, LOCKMODE weakest) {
  LOCKTAG tag;
  SET_LOCKTAG_RELATION(tag, MyDatabaseId, table);
  for (LOCKMODE mode = weakest; mode <= AccessExclusiveLock; mode++)
    if (compat_lock_held_by_me(&tag, mode))
      return true;
  return false;
}

static bool is_new(Oid table) {
  const Relation rel = try_relation_open(table, AccessShareLock);
  if (rel == nullptr)
    return false;
  const bool result = compat_is_new_in_transaction(rel);
  relation_close(rel, AccessShareLock);
  return result;
}

static void require_unlocked(Oid table, LOCKMODE weakest) {
  if (!holds_lock(table, weakest) && !is_new(table))
    return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                  errmsg("table %s is locked by the transaction that calls the pull",
                         destination_table_display_name(table)),
                  errdetail("The workers have transactions of their own. They would wait for the "
                            "calling transaction, which waits for them."),
                  errhint("Create, truncate, alter or lock the table in a transaction of its own, "
                          "COMMIT it, and then pull.")));
}

static List *referenced_tables(Oid table) {
  const Relation rel = try_relation_open(table, AccessShareLock);
  if (rel == nullptr)
    return NIL;
  List *tables = NIL;
  ListCell *cell;
  foreach (cell, RelationGetFKeyList(rel)) {
    const auto *key = static_cast<ForeignKeyCacheInfo *>(lfirst(cell));
    if (compat_is_enforced(key))
      tables = list_append_unique_oid(tables, key->confrelid);
  }
  relation_close(rel, AccessShareLock);
  return tables;
}

void lock_trap_check_before_start(Oid table) {
  List *written = list_make1_oid(table);
  if (get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE)
    written = find_all_inheritors(table, NoLock, nullptr);
  if (get_rel_relispartition(table))
    written = list_concat(written, get_partition_ancestors(table));
  ListCell *cell;
  foreach (cell, written)
    require_unlocked(lfirst_oid(cell), kConflictsWithWrite);
  foreach (cell, written) {
    ListCell *referenced;
    foreach (referenced, referenced_tables(lfirst_oid(cell)))
      require_unlocked(lfirst_oid(referenced), kConflictsWithLookUp);
  }
  const Oid schema = get_namespace_oid("parallel_loader", true);
  require_unlocked(OidIsValid(schema) ? get_relname_relid("pull", schema) : InvalidOid,
                   kConflictsWithWrite);
  require_unlocked(OidIsValid(schema) ? get_relname_relid("chunk", schema) : InvalidOid,
                   kConflictsWithWrite);
}

// What is looked up is thrown away whole after each look.
static MemoryContext look_context() {
  static MemoryContext context = nullptr;
  if (context == nullptr)
    context =
        AllocSetContextCreate(TopMemoryContext, "parallel_loader lock trap", ALLOCSET_SMALL_SIZES);
  return context;
}

// A third session may stand between: its TRUNCATE waits for the caller's read, our worker for it.
static bool leads_to_me(List *pids) {
  for (int index = 0; index < list_length(pids); index++) { // grows as it is walked
    const int pid = list_nth_int(pids, index);
    if (pid == MyProcPid)
      return true;
    if (pid != 0)
      pids = add_blockers(pids, pid);
  }
  return false;
}

static List *blockers_of_pull(const SharedPull *pull) {
  List *pids = NIL;
  if (pull->coordinator_pid != 0)
    pids = add_blockers(pids, pull->coordinator_pid);
  for (const WorkerSlot &slot : pull->slots)
    if (waits_for_lock(slot.proc_number, slot.pid))
      pids = add_blockers(pids, slot.pid);
  return pids;
}

// Once a second is often enough for an error within two.
static bool is_time_to_look() {
  constexpr TimestampTz kEveryUs = USECS_PER_SEC;
  static TimestampTz looked_at = 0;
  const TimestampTz now = GetCurrentTimestamp();
  if (now - looked_at < kEveryUs && now >= looked_at)
    return false;
  looked_at = now;
  return true;
}

bool lock_trap_is_caught(const SharedPull *pull) {
  if (!is_time_to_look())
    return false;
  const MemoryContext context = look_context();
  MemoryContextReset(context); // what an error may have left
  const MemoryContext caller = MemoryContextSwitchTo(context);
  const bool is_caught = leads_to_me(blockers_of_pull(pull));
  MemoryContextSwitchTo(caller);
  MemoryContextReset(context);
  return is_caught;
}

void lock_trap_raise(SharedPull *pull) {
  ErrorReport report;
  error_report_set(&report, "55006",
                   psprintf("pull into table %s is blocked by the calling transaction",
                            destination_table_display_name(pull->table)),
                   "The workers have transactions of their own. They wait, directly or through "
                   "another session, for the calling transaction, which waits for them.",
                   "COMMIT or ROLLBACK first, and then pull outside a transaction block.");
  if (pull->waiting_pid == MyProcPid) {
    if (pull->pull_id != 0)
      error_report_add_detail(
          &report,
          psprintf("Pull " INT64_FORMAT " %s.", pull->pull_id,
                   shared_pull_phase(pull) >= kPhaseRecorded ? "failed" : "was not resumed"));
    shared_pull_fail(pull, &report, kStopFailed);
    mailbox_await_stop(pull); // the error frees the lock: no row is to arrive after it
  }
  error_report_raise(&report);
}

} // namespace parallel_loader
