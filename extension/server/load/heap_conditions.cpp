#include "extension/server/load/heap_conditions.hpp"

#include "extension/server/base/compat.hpp"

extern "C" {
#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
}

namespace parallel_loader {

static bool fires(const Trigger *trigger) {
  if (!TRIGGER_FOR_INSERT(trigger->tgtype))
    return false;
  const char enabled = trigger->tgenabled;
  if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
    return enabled == TRIGGER_FIRES_ALWAYS || enabled == TRIGGER_FIRES_ON_REPLICA;
  return enabled == TRIGGER_FIRES_ALWAYS || enabled == TRIGGER_FIRES_ON_ORIGIN;
}

static const char *find_trigger(Relation rel) {
  const TriggerDesc *triggers = rel->trigdesc;
  if (triggers == nullptr)
    return nullptr;
  for (int index = 0; index < triggers->numtriggers; index++) {
    const Trigger *trigger = &triggers->triggers[index];
    if (!fires(trigger))
      continue;
    return trigger->tgisinternal ? psprintf("the table has foreign key \"%s\"",
                                            get_constraint_name(trigger->tgconstraint))
                                 : psprintf("the table has trigger \"%s\"", trigger->tgname);
  }
  return nullptr;
}

static const char *find_late_constraint(Relation rel) {
  ListCell *cell;
  foreach (cell, RelationGetIndexList(rel)) {
    const Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    const bool is_exclusion = index->rd_index->indisexclusion;
    const bool is_deferrable = !index->rd_index->indimmediate;
    const char *name = pstrdup(RelationGetRelationName(index));
    index_close(index, AccessShareLock);
    if (is_exclusion)
      return psprintf("the table has exclusion constraint \"%s\"", name);
    if (is_deferrable)
      return psprintf("the table has deferrable constraint \"%s\"", name);
  }
  return nullptr;
}

static const char *find_computed_column(Relation rel, const RowSink *sink) {
  const TupleDesc descriptor = RelationGetDescr(rel);
  for (int index = 0; index < descriptor->natts; index++) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, index);
    const char *name = NameStr(attribute->attname);
    if (attribute->attisdropped || row_sink_has_column(sink, name))
      continue;
    if (attribute->attgenerated != '\0')
      return psprintf("column \"%s\" is generated", name);
    if (build_column_default(rel, index + 1) != nullptr)
      return psprintf("column \"%s\" is left to its default", name);
  }
  return nullptr;
}

static const char *find_reason(Relation rel, const RowSink *sink) {
  if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
    return "the table is partitioned";
  if (rel->rd_tableam != GetHeapamTableAmRoutine())
    return "the table's access method is not heap";
  // Constraints that are checked late have triggers, too; what is left is foreign keys.
  const char *reason = find_late_constraint(rel);
  if (reason == nullptr)
    reason = find_trigger(rel);
  if (reason == nullptr)
    reason = find_computed_column(rel, sink);
  return reason;
}

const char *why_not_heap_route(const RowSink *sink) {
  const Relation rel = table_open(sink->table, AccessShareLock);
  const char *reason = find_reason(rel, sink);
  table_close(rel, AccessShareLock);
  return reason;
}

} // namespace parallel_loader
