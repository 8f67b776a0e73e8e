// spi: statements of our own inside the server, safe from the caller's search path and rights.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// kReadLatest sees everything committed by now, also inside a REPEATABLE READ transaction.
enum class SpiMode { kReadLatest, kWrite };

struct SpiRows {
  uint64 row_count;
  int column_count;
  uint64 affected;
  char **values; // row by row; nullptr is NULL; in the caller's memory context
};

/// Runs one statement as the ledger's owner under search_path pg_catalog, all parameters as text.
/// Needs a transaction.  Raises 55000 when the extension is not installed in this database, or has
/// another version than the library.
SpiRows spi_execute(SpiMode mode, const char *sql, int param_count, const char *const *params);

/// How a statement of the caller's reads and writes values.
struct SpiFormats {
  const char *timezone;
  const char *date_order;  // MDY, DMY or YMD
  const char *search_path; // what the statement is to find names by
};

/// As spi_execute, but with the current user's rights, and the formats that sessions on the source
/// are pinned to.
SpiRows spi_execute_as_caller(SpiMode mode, const SpiFormats *formats, const char *sql,
                              int param_count, const char *const *params);

/// The owner of the ledger's tables.
Oid spi_ledger_owner();

/// The table of pulls of this database's ledger.  Raises as spi_execute.
Oid spi_ledger();

/// From now on this process works for a pull of that ledger: spi_execute raises 55000 where another
/// one has its name, as after DROP EXTENSION and CREATE EXTENSION, with which ids begin anew.
void spi_expect_ledger(Oid ledger);

/// Runs one statement with the current user's rights and the session's settings; returns how many
/// rows it returned or changed.
uint64 spi_write_as_caller(const char *sql);

/// Makes deferred constraints and triggers run now, as the current user.
void spi_fire_deferred_triggers();

} // namespace parallel_loader
