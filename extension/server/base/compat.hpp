// compat: every difference between the server versions 14 to 18 that our code meets.
#pragma once

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_relation.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 160000
#include "parser/parse_node.h"
#include "utils/guc_hooks.h"
#include "varatt.h"
#endif
#if PG_VERSION_NUM >= 180000
#include "storage/waiteventset.h"
#endif
}

#if PG_VERSION_NUM < 140000
#error "Parallel Loader needs PostgreSQL 14 or later"
#endif

namespace parallel_loader {

inline bool compat_lock_held_by_me(const LOCKTAG *tag, LOCKMODE mode) {
#if PG_VERSION_NUM >= 170000
  return LockHeldByMe(tag, mode, false);
#else
  return LockHeldByMe(tag, mode);
#endif
}

/// True if the constraint is checked: from version 18 on there are some that are not.
inline bool compat_is_enforced(const ForeignKeyCacheInfo *key) {
#if PG_VERSION_NUM >= 180000
  return key->conenforced;
#else
  static_cast<void>(key);
  return true;
#endif
}

/// True in the extension's own background processes.
inline bool compat_is_background_worker() {
#if PG_VERSION_NUM >= 170000
  return AmBackgroundWorkerProcess();
#else
  return IsBackgroundWorker;
#endif
}

/// True if the relation was created, or given new storage, by the current transaction.
inline bool compat_is_new_in_transaction(Relation rel) {
#if PG_VERSION_NUM >= 160000
  return rel->rd_createSubid != InvalidSubTransactionId ||
         rel->rd_firstRelfilelocatorSubid != InvalidSubTransactionId;
#else
  return rel->rd_createSubid != InvalidSubTransactionId ||
         rel->rd_firstRelfilenodeSubid != InvalidSubTransactionId;
#endif
}

inline AclResult compat_foreign_server_aclcheck(Oid server, Oid role, AclMode mode) {
#if PG_VERSION_NUM >= 160000
  return object_aclcheck(ForeignServerRelationId, server, role, mode);
#else
  return pg_foreign_server_aclcheck(server, role, mode);
#endif
}

inline AclResult compat_database_aclcheck(Oid database, Oid role, AclMode mode) {
#if PG_VERSION_NUM >= 160000
  return object_aclcheck(DatabaseRelationId, database, role, mode);
#else
  return pg_database_aclcheck(database, role, mode);
#endif
}

/// Raises 42501 unless the current user may INSERT into `attnums` (attribute numbers) of the
/// relation behind `item`, as COPY checks it.
inline void compat_check_insert_permission(ParseState *pstate, ParseNamespaceItem *item,
                                           List *attnums) {
#if PG_VERSION_NUM >= 160000
  RTEPermissionInfo *permissions = item->p_perminfo;
#else
  RangeTblEntry *permissions = item->p_rte;
#endif
  permissions->requiredPerms = ACL_INSERT;
  ListCell *cell;
  foreach (cell, attnums) {
    permissions->insertedCols = bms_add_member(
        permissions->insertedCols, lfirst_int(cell) - FirstLowInvalidHeapAttributeNumber);
  }
#if PG_VERSION_NUM >= 160000
  ExecCheckPermissions(pstate->p_rtable, list_make1(permissions), true);
#else
  ExecCheckRTPerms(pstate->p_rtable, true);
#endif
}

/// Gives the executor the range table of a parse state with one relation in it.
inline void compat_init_range_table(EState *estate, const ParseState *pstate) {
#if PG_VERSION_NUM >= 180000
  ExecInitRangeTable(estate, pstate->p_rtable, pstate->p_rteperminfos, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
  ExecInitRangeTable(estate, pstate->p_rtable, pstate->p_rteperminfos);
#else
  ExecInitRangeTable(estate, pstate->p_rtable);
#endif
}

/// Adds index entries for the row in `slot`, which is in the table; no index of it is deferred.
inline void compat_insert_index_tuples(ResultRelInfo *result, TupleTableSlot *slot,
                                       EState *estate) {
#if PG_VERSION_NUM >= 160000
  ExecInsertIndexTuples(result, slot, estate, false, false, nullptr, NIL, false);
#else
  ExecInsertIndexTuples(result, slot, estate, false, false, nullptr, NIL);
#endif
}

/// Other settings of that prefix are errors from here on; before version 15 warnings.
inline void compat_reserve_settings(const char *prefix) {
#if PG_VERSION_NUM >= 150000
  MarkGUCPrefixReserved(prefix);
#else
  EmitWarningsOnPlaceholders(prefix);
#endif
}

inline WaitEventSet *compat_create_wait_event_set(int events) {
#if PG_VERSION_NUM >= 170000
  return CreateWaitEventSet(nullptr, events);
#else
  return CreateWaitEventSet(TopMemoryContext, events);
#endif
}

/// Before version 17 a role that may not log in is refused to background workers.
#if PG_VERSION_NUM >= 170000
inline constexpr uint32 kCompatWorkerConnectionFlags = BGWORKER_BYPASS_ROLELOGINCHECK;
inline constexpr bool kCompatNeedsLogin = false;
#else
inline constexpr uint32 kCompatWorkerConnectionFlags = 0;
inline constexpr bool kCompatNeedsLogin = true;
#endif

} // namespace parallel_loader
