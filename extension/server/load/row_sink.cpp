#include "extension/server/load/row_sink.hpp"

#include "extension/server/base/compat.hpp"
#include "extension/server/sql/destination_table.hpp"

extern "C" {
#include "access/table.h"
#include "commands/copy.h"
#include "utils/rel.h"
}

namespace parallel_loader {

bool row_sink_has_column(const RowSink *sink, const char *name) {
  for (int index = 0; index < sink->column_count; index++)
    if (strcmp(sink->columns[index], name) == 0)
      return true;
  return false;
}

List *row_sink_column_list(const RowSink *sink) {
  List *names = NIL;
  for (int index = 0; index < sink->column_count; index++)
    names = lappend(names, makeString(pstrdup(sink->columns[index])));
  return names;
}

ParseState *row_sink_parse_state(Relation rel, const RowSink *sink) {
  ParseState *pstate = make_parsestate(nullptr);
  ParseNamespaceItem *item =
      addRangeTableEntryForRelation(pstate, rel, RowExclusiveLock, nullptr, false, false);
  List *attnums = CopyGetAttnums(RelationGetDescr(rel), rel, row_sink_column_list(sink));
  compat_check_insert_permission(pstate, item, attnums);
  return pstate;
}

void row_sink_check(const RowSink *sink) {
  destination_table_check(sink->table);
  const Relation rel = table_open(sink->table, RowExclusiveLock);
  free_parsestate(row_sink_parse_state(rel, sink));
  table_close(rel, NoLock);
}

} // namespace parallel_loader
