#include "extension/server/load/heap_insert.hpp"

#include "extension/server/base/compat.hpp"
#include "extension/server/base/pinned_values.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/hio.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace parallel_loader {

struct HeapInsert {
  MemoryContext context; // of all that follows
  MemoryContext batch_context;
  const char *description;
  Relation rel;
  EState *estate;
  ResultRelInfo *result;
  BulkInsertState bulk;
  CommandId command;
  bool has_checks;
  HeapTupleData tuples[kHeapBatchRows];
  TupleTableSlot *slots[kHeapBatchRows]; // made when they are first needed
};

static void open_sink(HeapInsert *insert, const RowSink *sink) {
  ParseState *pstate = row_sink_parse_state(insert->rel, sink);
  insert->estate = CreateExecutorState();
  compat_init_range_table(insert->estate, pstate);
  insert->result = makeNode(ResultRelInfo);
  ExecInitResultRelation(insert->estate, insert->result, 1);
  ExecOpenIndices(insert->result, false);
}

HeapInsert *heap_insert_begin(const RowSink *sink) {
  pinned_values_restore();
  const MemoryContext context = AllocSetContextCreate(
      CurrentMemoryContext, "parallel_loader heap insert", ALLOCSET_DEFAULT_SIZES);
  const MemoryContext old = MemoryContextSwitchTo(context);
  auto *insert = static_cast<HeapInsert *>(palloc0(sizeof(HeapInsert)));
  insert->context = context;
  insert->batch_context =
      AllocSetContextCreate(context, "parallel_loader heap batch", ALLOCSET_DEFAULT_SIZES);
  insert->description = sink->description;
  insert->rel = table_open(sink->table, NoLock); // row_sink_check holds the lock
  open_sink(insert, sink);
  const TupleConstr *constraints = RelationGetDescr(insert->rel)->constr;
  insert->has_checks = constraints != nullptr && constraints->num_check > 0;
  insert->bulk = GetBulkInsertState();
  insert->command = GetCurrentCommandId(true);
  MemoryContextSwitchTo(old);
  return insert;
}

// A slot that says its tuple is its own is not copied on the way into the table.  The flag is taken
// back before the slot is emptied, which would free the tuple; an error leaves slots to the memory
// context, which frees none.
static void fill_slot(HeapInsert *insert, int index, const HeapImage *image) {
  TupleTableSlot **slot = &insert->slots[index];
  if (*slot == nullptr) {
    const MemoryContext old = MemoryContextSwitchTo(insert->context);
    *slot = MakeSingleTupleTableSlot(RelationGetDescr(insert->rel), &TTSOpsHeapTuple);
    MemoryContextSwitchTo(old);
  }
  HeapTuple tuple = &insert->tuples[index];
  tuple->t_len = image->length;
  ItemPointerSetInvalid(&tuple->t_self);
  tuple->t_tableOid = RelationGetRelid(insert->rel);
  tuple->t_data = reinterpret_cast<HeapTupleHeader>(image->bytes);
  ExecStoreHeapTuple(tuple, *slot, false);
  (*slot)->tts_tableOid = tuple->t_tableOid;
  (*slot)->tts_flags |= TTS_FLAG_SHOULDFREE;
}

static void empty_slot(TupleTableSlot *slot) {
  slot->tts_flags &= ~TTS_FLAG_SHOULDFREE;
  ExecClearTuple(slot);
}

static void check_row(HeapInsert *insert, TupleTableSlot *slot, bool breaks_not_null) {
  if (insert->has_checks || breaks_not_null)
    ExecConstraints(insert->result, slot, insert->estate);
  if (insert->rel->rd_rel->relispartition)
    ExecPartitionCheck(insert->result, slot, insert->estate, true);
}

static void insert_index_entries(HeapInsert *insert, int count) {
  if (insert->result->ri_NumIndices == 0)
    return;
  for (int index = 0; index < count; index++) {
    compat_insert_index_tuples(insert->result, insert->slots[index], insert->estate);
    ResetPerTupleExprContext(insert->estate);
  }
}

static void insert_batch(HeapInsert *insert, const HeapImage *images, int count) {
  for (int index = 0; index < count; index++) {
    fill_slot(insert, index, &images[index]);
    check_row(insert, insert->slots[index], images[index].breaks_not_null);
    ResetPerTupleExprContext(insert->estate);
  }
  heap_multi_insert(insert->rel, insert->slots, count, insert->command, 0, insert->bulk);
  insert_index_entries(insert, count);
  for (int index = 0; index < count; index++)
    empty_slot(insert->slots[index]);
}

static void add_insert_context(void *insert) {
  errcontext("%s", static_cast<const HeapInsert *>(insert)->description);
}

void heap_insert_batch(HeapInsert *insert, const HeapImage *images, int count) {
  ErrorContextCallback callback;
  callback.callback = add_insert_context;
  callback.arg = insert;
  callback.previous = error_context_stack;
  error_context_stack = &callback;
  const MemoryContext old = MemoryContextSwitchTo(insert->batch_context);
  pinned_values_require(kReadBinary); // checks and indexes of the batch before have run since
  if (count > 0)
    insert_batch(insert, images, count);
  MemoryContextSwitchTo(old);
  MemoryContextReset(insert->batch_context);
  error_context_stack = callback.previous;
}

void heap_insert_end(HeapInsert *insert) {
  FreeBulkInsertState(insert->bulk);
  for (TupleTableSlot *slot : insert->slots)
    if (slot != nullptr)
      ExecDropSingleTupleTableSlot(slot);
  ExecCloseResultRelations(insert->estate);
  ExecCloseRangeTableRelations(insert->estate);
  FreeExecutorState(insert->estate);
  table_close(insert->rel, NoLock);
  MemoryContextDelete(insert->context);
}

} // namespace parallel_loader
