#include "extension/server/load/copy_from.hpp"

#include "extension/server/base/pinned_values.hpp"

extern "C" {
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "commands/copy.h"
#include "commands/trigger.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace parallel_loader {

static List *copy_options(const RowSink *sink) {
  List *options = list_make1(
      makeDefElem(pstrdup("encoding"),
                  reinterpret_cast<Node *>(makeString(pstrdup(GetDatabaseEncodingName()))), -1));
  const char *format = sink->is_binary ? "binary" : "text";
  return lappend(options, makeDefElem(pstrdup("format"),
                                      reinterpret_cast<Node *>(makeString(pstrdup(format))), -1));
}

static void add_row_context(void *description) {
  errcontext("%s", static_cast<const char *>(description));
}

// The callback of COPY FROM gets no argument; a process copies into one table at a time.
static CopySource checked_source;
static unsigned checked_uses;

// Before more rows are read, and when the last one was: code of users has run since.
static int read_checked(void *buffer, int minimum, int maximum) {
  pinned_values_require(checked_uses);
  return checked_source(buffer, minimum, maximum);
}

static unsigned uses_of(const RowSink *sink) {
  if (sink->is_binary)
    return kReadBinary;
  for (int index = 0; index < sink->column_count; index++) {
    const AttrNumber column = get_attnum(sink->table, sink->columns[index]);
    if (pinned_values_has_names(get_atttype(sink->table, column)))
      return kReadText | kReadNames;
  }
  return kReadText;
}

static uint64 run(const RowSink *sink, CopySource source) {
  pinned_values_restore(); // triggers of the COPY before, which run at its end, may have set some
  checked_source = source;
  checked_uses = uses_of(sink);
  const Relation rel = table_open(sink->table, NoLock); // row_sink_check holds the lock
  ParseState *pstate = row_sink_parse_state(rel, sink);
  const CopyFromState state = BeginCopyFrom(pstate, rel, nullptr, nullptr, false, read_checked,
                                            row_sink_column_list(sink), copy_options(sink));
  const uint64 row_count = CopyFrom(state);
  EndCopyFrom(state);
  free_parsestate(pstate);
  table_close(rel, NoLock);
  return row_count;
}

uint64 copy_from_run(const RowSink *sink, CopySource source) {
  const MemoryContext context =
      AllocSetContextCreate(CurrentMemoryContext, "parallel_loader copy", ALLOCSET_DEFAULT_SIZES);
  const MemoryContext old = MemoryContextSwitchTo(context);
  ErrorContextCallback callback;
  callback.callback = add_row_context;
  callback.arg = const_cast<char *>(sink->description);
  callback.previous = error_context_stack;
  error_context_stack = &callback;
  const uint64 row_count = run(sink, source);
  error_context_stack = callback.previous;
  MemoryContextSwitchTo(old);
  MemoryContextDelete(context);
  return row_count;
}

bool copy_from_may_skip_rows(Oid table) {
  ListCell *cell;
  foreach (cell, find_all_inheritors(table, NoLock, nullptr)) {
    const Relation rel = try_relation_open(lfirst_oid(cell), AccessShareLock);
    const bool has_trigger =
        rel != nullptr && rel->trigdesc != nullptr &&
        (rel->trigdesc->trig_insert_before_row || rel->trigdesc->trig_insert_instead_row);
    if (rel != nullptr)
      relation_close(rel, NoLock);
    if (has_trigger)
      return true;
  }
  return false;
}

} // namespace parallel_loader
