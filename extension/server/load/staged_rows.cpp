#include "extension/server/load/staged_rows.hpp"

#include "extension/server/base/pinned_values.hpp"
#include "extension/server/load/copy_from.hpp"
#include "extension/server/process/session.hpp"

extern "C" {
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
}

namespace parallel_loader {

// COPY FROM buffers a thousand rows whatever their size, so it is ended after this many bytes.
static constexpr uint64 kPartBytes = uint64{4} * 1024 * 1024;
static constexpr long kFetchRows = 50;

struct StagedRows {
  Portal portal;
  bool is_binary;
  FmgrInfo *outputs; // one a column
  TupleDesc descriptor;
  SPITupleTable *batch;
  uint64 batch_size;
  uint64 batch_next;
  bool is_at_end;
  uint64 row_count;
  uint64 part_bytes;
  bool is_part_ended;
  MemoryContext row_context; // one row's values
  StringInfoData buffer;     // bytes not given out yet, from `given` on
  int given;
};

// The callback of COPY FROM gets no argument; a process copies one table at a time.
static StagedRows *staged = nullptr;

// SPI returns in a memory context of its own, while COPY FROM goes on in that of its row.
static void fetch(StagedRows *rows) {
  if (rows->batch != nullptr)
    SPI_freetuptable(rows->batch);
  const MemoryContext old = CurrentMemoryContext;
  SPI_cursor_fetch(rows->portal, true, kFetchRows);
  MemoryContextSwitchTo(old);
  rows->batch = SPI_tuptable;
  rows->batch_size = SPI_processed;
  rows->batch_next = 0;
  rows->is_at_end = rows->batch_size == 0;
}

static void find_outputs(StagedRows *rows) {
  rows->descriptor = rows->portal->tupDesc;
  rows->outputs =
      static_cast<FmgrInfo *>(palloc0(sizeof(FmgrInfo) * Max(1, rows->descriptor->natts)));
  for (int index = 0; index < rows->descriptor->natts; index++) {
    const Oid type = TupleDescAttr(rows->descriptor, index)->atttypid;
    Oid function;
    bool is_varlena;
    if (rows->is_binary)
      getTypeBinaryOutputInfo(type, &function, &is_varlena);
    else
      getTypeOutputInfo(type, &function, &is_varlena);
    fmgr_info(function, &rows->outputs[index]);
  }
}

static void add_binary_value(StagedRows *rows, int index, Datum value) {
  const bytea *bytes = SendFunctionCall(&rows->outputs[index], value);
  const int size = static_cast<int>(VARSIZE(bytes) - VARHDRSZ);
  pq_sendint32(&rows->buffer, static_cast<uint32>(size));
  appendBinaryStringInfo(&rows->buffer, VARDATA(bytes), size);
}

// Bytes of a character after its first are never ASCII in a server's encoding.
static void add_text_value(StagedRows *rows, int index, Datum value) {
  const char *names = "b\b"
                      "f\f"
                      "n\n"
                      "r\r"
                      "t\t"
                      "v\v"
                      "\\\\";
  for (const char *text = OutputFunctionCall(&rows->outputs[index], value); *text != '\0'; text++) {
    const char *name = names;
    while (*name != '\0' && name[1] != *text)
      name += 2;
    if (*name != '\0') {
      appendStringInfoChar(&rows->buffer, '\\');
      appendStringInfoChar(&rows->buffer, *name);
    } else {
      appendStringInfoChar(&rows->buffer, *text);
    }
  }
}

static void add_row(StagedRows *rows, HeapTuple tuple) {
  const int column_count = rows->descriptor->natts;
  if (rows->is_binary)
    pq_sendint16(&rows->buffer, static_cast<uint16>(column_count));
  for (int index = 0; index < column_count; index++) {
    bool is_null;
    const Datum value = SPI_getbinval(tuple, rows->descriptor, index + 1, &is_null);
    if (!rows->is_binary && index > 0)
      appendStringInfoChar(&rows->buffer, '\t');
    if (is_null && rows->is_binary)
      pq_sendint32(&rows->buffer, static_cast<uint32>(-1));
    else if (is_null)
      appendStringInfoString(&rows->buffer, "\\N");
    else if (rows->is_binary)
      add_binary_value(rows, index, value);
    else
      add_text_value(rows, index, value);
  }
  if (!rows->is_binary)
    appendStringInfoChar(&rows->buffer, '\n');
}

static void add_next_row(StagedRows *rows) {
  if (rows->batch_next == rows->batch_size && !rows->is_at_end)
    fetch(rows);
  if (rows->is_at_end || rows->part_bytes >= kPartBytes) {
    rows->is_part_ended = true;
    if (rows->is_binary)
      pq_sendint16(&rows->buffer, static_cast<uint16>(-1)); // trailer
    return;
  }
  const MemoryContext old = MemoryContextSwitchTo(rows->row_context);
  const int before = rows->buffer.len;
  add_row(rows, rows->batch->vals[rows->batch_next++]);
  rows->part_bytes += static_cast<uint64>(rows->buffer.len - before);
  rows->row_count++;
  MemoryContextSwitchTo(old);
  MemoryContextReset(rows->row_context);
}

static int read_staged(void *buffer, int /*minimum*/, int maximum) {
  StagedRows *rows = staged;
  while (rows->given == rows->buffer.len && !rows->is_part_ended) {
    resetStringInfo(&rows->buffer);
    rows->given = 0;
    if (!rows->is_binary)
      pinned_values_require(kWriteText); // triggers of the row before have run
    add_next_row(rows);
  }
  const int size = Min(maximum, rows->buffer.len - rows->given);
  memcpy(buffer, rows->buffer.data + rows->given, static_cast<size_t>(size));
  rows->given += size;
  return size;
}

static void begin_part(StagedRows *rows) {
  resetStringInfo(&rows->buffer);
  rows->given = 0;
  rows->part_bytes = 0;
  rows->is_part_ended = false;
  if (!rows->is_binary)
    return;
  constexpr char kSignature[] = "PGCOPY\n\377\r\n"; // with its last byte, a zero
  appendBinaryStringInfo(&rows->buffer, kSignature, sizeof(kSignature));
  pq_sendint32(&rows->buffer, 0); // flags
  pq_sendint32(&rows->buffer, 0); // length of the header's extension
}

static Portal open_cursor(const char *query) {
  const SPIPlanPtr plan = SPI_prepare_cursor(query, 0, nullptr, CURSOR_OPT_NO_SCROLL);
  if (plan == nullptr)
    elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
  return SPI_cursor_open(nullptr, plan, nullptr, nullptr, false);
}

StagedCount staged_rows_copy(const RowSink *sink, const char *query) {
  SPI_connect();
  StagedRows rows = {};
  rows.is_binary = sink->is_binary;
  rows.portal = open_cursor(query);
  find_outputs(&rows);
  initStringInfo(&rows.buffer);
  rows.row_context = AllocSetContextCreate(CurrentMemoryContext, "parallel_loader staged row",
                                           ALLOCSET_DEFAULT_SIZES);
  uint64 inserted = 0;
  staged = &rows;
  for (fetch(&rows); !rows.is_at_end;) {
    begin_part(&rows);
    inserted += copy_from_run(sink, read_staged);
    session_next_command();
  }
  staged = nullptr;
  SPI_cursor_close(rows.portal);
  SPI_finish();
  return {rows.row_count, inserted};
}

} // namespace parallel_loader
