#include "extension/server/load/field_receive.hpp"
#include "extension/server/base/compat.hpp"

extern "C" {
#include "access/detoast.h"
#include "access/table.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace parallel_loader {

struct Receiver {
  FmgrInfo function;
  Oid type_parameter;
  bool is_by_value;
};

struct FieldReceive {
  MemoryContext value_context;
  int column_count;
  StoredColumn *columns;
  Receiver *receivers;
  StringInfoData field;
  char by_value[sizeof(Datum)];
};

static uint8 alignment_bytes(char alignment) {
  switch (alignment) {
  case TYPALIGN_DOUBLE:
    return ALIGNOF_DOUBLE;
  case TYPALIGN_INT:
    return ALIGNOF_INT;
  case TYPALIGN_SHORT:
    return ALIGNOF_SHORT;
  default:
    return 1;
  }
}

static void describe(StoredColumn *column, const FormData_pg_attribute *attribute) {
  column->name = pstrdup(NameStr(attribute->attname));
  column->type = attribute->attisdropped ? InvalidOid : attribute->atttypid;
  column->length = attribute->attlen;
  column->alignment = alignment_bytes(attribute->attalign);
  column->is_packable = attribute->attlen == -1 && attribute->attstorage != TYPSTORAGE_PLAIN;
  column->typmod = attribute->atttypmod;
  column->is_not_null = attribute->attnotnull && !attribute->attisdropped;
}

static void describe_element(StoredColumn *column, Oid receive_function) {
  if (receive_function != F_ARRAY_RECV)
    return;
  bool is_by_value;
  char alignment;
  column->element_type = get_element_type(column->type);
  get_typlenbyvalalign(column->element_type, &column->element_length, &is_by_value, &alignment);
  column->element_alignment = alignment_bytes(alignment);
}

static void find_receiver(Receiver *receiver, const FormData_pg_attribute *attribute) {
  Oid function;
  getTypeBinaryInputInfo(attribute->atttypid, &function, &receiver->type_parameter);
  fmgr_info(function, &receiver->function);
  receiver->is_by_value = attribute->attbyval;
}

FieldReceive *field_receive_begin(const RowSink *sink) {
  const Relation rel = table_open(sink->table, NoLock);
  const TupleDesc descriptor = RelationGetDescr(rel);
  const int count = descriptor->natts;
  auto *receive = static_cast<FieldReceive *>(palloc0(sizeof(FieldReceive)));
  receive->value_context =
      AllocSetContextCreate(CurrentMemoryContext, "parallel_loader field", ALLOCSET_DEFAULT_SIZES);
  receive->column_count = count;
  receive->columns = static_cast<StoredColumn *>(palloc0(sizeof(StoredColumn) * Max(1, count)));
  receive->receivers = static_cast<Receiver *>(palloc0(sizeof(Receiver) * Max(1, count)));
  initStringInfo(&receive->field);
  for (int index = 0; index < count; index++) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, index);
    StoredColumn *column = &receive->columns[index];
    describe(column, attribute);
    if (attribute->attisdropped || !row_sink_has_column(sink, column->name))
      continue;
    find_receiver(&receive->receivers[index], attribute);
    describe_element(column, receive->receivers[index].function.fn_oid);
    column->receives_null = !receive->receivers[index].function.fn_strict;
  }
  table_close(rel, NoLock);
  return receive;
}

int field_receive_column_count(const FieldReceive *receive) noexcept {
  return receive->column_count;
}

const StoredColumn *field_receive_columns(const FieldReceive *receive) noexcept {
  return receive->columns;
}

struct FieldPlace {
  int64 row;
  const char *column;
};

static void add_field_context(void *argument) {
  const auto *place = static_cast<const FieldPlace *>(argument);
  errcontext("row " INT64_FORMAT ", column %s", place->row, place->column);
}

// `field` is nullptr for NULL.
static Datum receive_value(FieldReceive *receive, int column, StringInfo field, int64 row) {
  Receiver *receiver = &receive->receivers[column];
  FieldPlace place = {row, receive->columns[column].name};
  ErrorContextCallback callback;
  callback.callback = add_field_context;
  callback.arg = &place;
  callback.previous = error_context_stack;
  error_context_stack = &callback;
  MemoryContextReset(receive->value_context);
  const MemoryContext old = MemoryContextSwitchTo(receive->value_context);
  const Datum value = ReceiveFunctionCall(&receiver->function, field, receiver->type_parameter,
                                          receive->columns[column].typmod);
  if (field != nullptr && field->cursor != field->len) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
                    errmsg("incorrect binary data format")));
  }
  MemoryContextSwitchTo(old);
  error_context_stack = callback.previous;
  return value;
}

static FieldBytes value_bytes(FieldReceive *receive, int column, Datum value) {
  const StoredColumn *stored = &receive->columns[column];
  if (receive->receivers[column].is_by_value) {
    store_att_byval(receive->by_value, value, stored->length);
    return {receive->by_value, static_cast<size_t>(stored->length)};
  }
  const char *bytes = DatumGetPointer(value);
  if (stored->length == -2)
    return {bytes, strlen(bytes) + 1};
  if (stored->length != -1)
    return {bytes, static_cast<size_t>(stored->length)};
  if (VARATT_IS_EXTENDED(bytes)) {
    const MemoryContext old = MemoryContextSwitchTo(receive->value_context);
    bytes = reinterpret_cast<const char *>(
        detoast_attr(reinterpret_cast<struct varlena *>(DatumGetPointer(value))));
    MemoryContextSwitchTo(old);
  }
  return {bytes, VARSIZE(bytes)};
}

// Functions for arrays and composites write terminators behind the values inside, so the field is
// copied, as COPY FROM copies it.
FieldBytes field_receive(FieldReceive *receive, int column, const char *field, size_t size,
                         int64 row) {
  resetStringInfo(&receive->field);
  appendBinaryStringInfo(&receive->field, field, static_cast<int>(size));
  return value_bytes(receive, column, receive_value(receive, column, &receive->field, row));
}

void field_receive_null(FieldReceive *receive, int column, int64 row) {
  static_cast<void>(receive_value(receive, column, nullptr, row));
}

} // namespace parallel_loader
