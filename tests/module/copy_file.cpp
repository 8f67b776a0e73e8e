// copy_file: SQL functions of the tests that write and read files of binary COPY, row by row.
#include <unistd.h>

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "storage/fd.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(write_copy_file);
PG_FUNCTION_INFO_V1(read_copy_file);
}

// PostgreSQL manual, COPY, "Binary Format": signature, flags, length of the header's extension.
static const char kHeader[] = "PGCOPY\n\377\r\n\0"
                              "\0\0\0\0"
                              "\0\0\0\0";
static const size_t kHeaderSize = sizeof(kHeader) - 1;
static const size_t kTrailerSize = 2;

static void write_bytes(FILE *file, const char *bytes, size_t size) {
  if (fwrite(bytes, 1, size, file) != size)
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not write file: %m")));
}

/// write_copy_file(path text, rows bytea[]) returns void: header, rows as they are, trailer.
Datum write_copy_file(PG_FUNCTION_ARGS) {
  Datum *rows;
  int count;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), BYTEAOID, -1, false, TYPALIGN_INT, &rows, nullptr,
                    &count);
  const char *path = text_to_cstring(PG_GETARG_TEXT_PP(0));
  // Some file systems write a file to disk that is emptied and filled anew, but none that is new.
  unlink(path);
  FILE *file = AllocateFile(path, PG_BINARY_W);
  if (file == nullptr)
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file: %m")));
  write_bytes(file, kHeader, kHeaderSize);
  for (int index = 0; index < count; index++) {
    const auto *row = reinterpret_cast<const struct varlena *>(DatumGetPointer(rows[index]));
    write_bytes(file, VARDATA_ANY(row), VARSIZE_ANY_EXHDR(row));
  }
  write_bytes(file, "\377\377", kTrailerSize);
  FreeFile(file);
  PG_RETURN_VOID();
}

// The size of the row that a sound stream goes on with; 0 at the trailer.
static size_t row_size(const char *row) {
  int16 count;
  memcpy(&count, row, sizeof(count));
  size_t size = sizeof(count);
  for (int field = 0; field < static_cast<int16>(pg_ntoh16(count)); field++) {
    uint32 length;
    memcpy(&length, row + size, sizeof(length));
    size += sizeof(length) + (length == PG_UINT32_MAX ? 0 : pg_ntoh32(length));
  }
  return static_cast<int16>(pg_ntoh16(count)) < 0 ? 0 : size;
}

/// read_copy_file(file bytea) returns bytea[]: the rows in what COPY TO has written.
Datum read_copy_file(PG_FUNCTION_ARGS) {
  const bytea *file = PG_GETARG_BYTEA_PP(0);
  const char *row = VARDATA_ANY(file) + kHeaderSize;
  ArrayBuildState *rows = initArrayResult(BYTEAOID, CurrentMemoryContext, true);
  for (size_t size = row_size(row); size > 0; row += size, size = row_size(row)) {
    bytea *value = static_cast<bytea *>(palloc(VARHDRSZ + size));
    SET_VARSIZE(value, VARHDRSZ + size);
    memcpy(VARDATA(value), row, size);
    accumArrayResult(rows, PointerGetDatum(value), false, BYTEAOID, CurrentMemoryContext);
  }
  return makeArrayResult(rows, CurrentMemoryContext);
}
