#include "extension/server/sql/table_rows.hpp"

#include "extension/server/base/compat.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace parallel_loader {

// A look is to stay cheap in a table of dead rows.
static constexpr BlockNumber kMostBlocks = 256;

static bool has_live_row(Relation rel, BlockNumber blocks) {
  const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  const TableScanDesc scan = table_beginscan_strat(rel, snapshot, 0, nullptr, true, false);
  heap_setscanlimits(scan, 0, Min(blocks, kMostBlocks));
  const bool is_found = heap_getnext(scan, ForwardScanDirection) != nullptr;
  table_endscan(scan);
  UnregisterSnapshot(snapshot);
  return is_found || blocks > kMostBlocks;
}

static bool has_rows(Relation rel, bool may_read) {
  if (rel->rd_rel->relkind != RELKIND_RELATION)
    return false;
  const BlockNumber blocks = RelationGetNumberOfBlocks(rel);
  if (blocks == 0)
    return false;
  return !may_read || rel->rd_tableam != GetHeapamTableAmRoutine() || has_live_row(rel, blocks);
}

bool table_rows_found(Oid table, bool if_locked) {
  const bool may_read = pg_class_aclcheck(table, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
  bool is_found = false;
  List *leaves = list_make1_oid(table);
  if (get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE)
    leaves = find_all_inheritors(table, NoLock, nullptr);
  ListCell *cell;
  foreach (cell, leaves) {
    const Oid leaf = lfirst_oid(cell);
    if (is_found)
      break;
    if (!ConditionalLockRelationOid(leaf, AccessShareLock)) {
      is_found = if_locked;
      continue;
    }
    const Relation rel = try_relation_open(leaf, NoLock);
    if (rel != nullptr) {
      is_found = has_rows(rel, may_read);
      relation_close(rel, NoLock);
    }
    UnlockRelationOid(leaf, AccessShareLock);
  }
  return is_found;
}

} // namespace parallel_loader
