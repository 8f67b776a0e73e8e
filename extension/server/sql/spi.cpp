#include "core/base/pinned_settings.hpp"

#include "extension/server/sql/spi.hpp"

#include "extension/server/base/installed_version.hpp"
#include "extension/server/sql/kept_plan.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace parallel_loader {

static Oid expected_ledger = InvalidOid;

void spi_expect_ledger(Oid ledger) {
  expected_ledger = ledger;
}

static Oid find_ledger() {
  const Oid schema = get_namespace_oid("parallel_loader", true);
  return OidIsValid(schema) ? get_relname_relid("pull", schema) : InvalidOid;
}

static void require_expected_ledger() {
  if (!OidIsValid(expected_ledger) || find_ledger() == expected_ledger)
    return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("extension \"parallel_loader\" was removed while the pull ran"),
                  errdetail("The ledger of this database is another one now."),
                  errhint("Look at what the table has, and pull it again.")));
}

Oid spi_ledger() {
  installed_version_require();
  return find_ledger();
}

Oid spi_ledger_owner() {
  installed_version_require();
  require_expected_ledger();
  const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(find_ledger()));
  if (!HeapTupleIsValid(tuple))
    elog(ERROR, "table \"parallel_loader.pull\" does not exist");
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner;
}

static SpiRows collect_rows(MemoryContext context) {
  SpiRows rows = {};
  rows.affected = SPI_processed;
  if (SPI_tuptable == nullptr)
    return rows;
  const TupleDesc descriptor = SPI_tuptable->tupdesc;
  rows.row_count = SPI_processed;
  rows.column_count = descriptor->natts;
  const MemoryContext old = MemoryContextSwitchTo(context);
  rows.values = static_cast<char **>(
      palloc0(sizeof(char *) * Max(1, rows.row_count * static_cast<uint64>(rows.column_count))));
  for (uint64 row = 0; row < rows.row_count; row++) {
    for (int column = 0; column < rows.column_count; column++) {
      rows.values[row * rows.column_count + column] =
          SPI_getvalue(SPI_tuptable->vals[row], descriptor, column + 1);
    }
  }
  MemoryContextSwitchTo(old);
  return rows;
}

/// The parameters of a statement, as SPI takes them.
struct SpiParams {
  int count;
  Oid *types;
  Datum *values;
  char *nulls;
};

static SpiParams text_params(int count, const char *const *texts) {
  const SpiParams params = {count, static_cast<Oid *>(palloc(sizeof(Oid) * Max(1, count))),
                            static_cast<Datum *>(palloc(sizeof(Datum) * Max(1, count))),
                            static_cast<char *>(palloc(Max(1, count)))};
  for (int index = 0; index < count; index++) {
    const bool is_null = texts[index] == nullptr;
    if (!is_null)
      pg_verifymbstr(texts[index], static_cast<int>(strlen(texts[index])), false);
    params.types[index] = TEXTOID;
    params.values[index] = is_null ? Datum(0) : CStringGetTextDatum(texts[index]);
    params.nulls[index] = is_null ? 'n' : ' ';
  }
  return params;
}

/// Whether the statement comes again.
enum class SpiUse { kOnce, kAgain };

static int execute(SpiMode mode, SpiUse use, const char *sql, int param_count,
                   const char *const *texts) {
  const bool is_read_only = mode == SpiMode::kReadLatest;
  const SpiParams params = text_params(param_count, texts);
  if (use == SpiUse::kAgain)
    return SPI_execute_plan(kept_plan(sql, param_count), params.values, params.nulls, is_read_only,
                            0);
  return SPI_execute_with_args(sql, param_count, params.types, params.values, params.nulls,
                               is_read_only, 0);
}

static void pin(const char *name, const char *value) {
  set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static void pin_settings() {
  // Operators and functions of the caller's search path must not run as the ledger's owner.
  pin("search_path", "pg_catalog, pg_temp");
  pin("row_security", "off");
  pin("array_nulls", "on"); // bounds travel as arrays with NULLs
  pin("jit", "off");        // compiling a catalogue query costs more than running it
}

// kReadLatest keeps SPI from writing, and allows parallel plans.
static SpiRows run(SpiMode mode, SpiUse use, const char *sql, int param_count,
                   const char *const *params) {
  const MemoryContext caller = CurrentMemoryContext;
  PushActiveSnapshot(mode == SpiMode::kReadLatest ? GetLatestSnapshot() : GetTransactionSnapshot());
  SPI_connect();
  const int code = execute(mode, use, sql, param_count, params);
  if (code < 0)
    elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(code));
  const SpiRows rows = collect_rows(caller);
  SPI_finish();
  PopActiveSnapshot();
  return rows;
}

SpiRows spi_execute(SpiMode mode, const char *sql, int param_count, const char *const *params) {
  Oid user;
  int security_context;
  GetUserIdAndSecContext(&user, &security_context);
  SetUserIdAndSecContext(spi_ledger_owner(), security_context | SECURITY_LOCAL_USERID_CHANGE);
  const int nest_level = NewGUCNestLevel();
  pin_settings();
  const SpiRows rows = run(mode, SpiUse::kAgain, sql, param_count, params);
  AtEOXact_GUC(true, nest_level);
  SetUserIdAndSecContext(user, security_context);
  // The statement's locks keep what it found until the transaction ends, so this tells what it was.
  require_expected_ledger();
  return rows;
}

uint64 spi_write_as_caller(const char *sql) {
  PushActiveSnapshot(GetTransactionSnapshot());
  SPI_connect();
  const int code = SPI_execute(sql, false, 0);
  if (code < 0)
    elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(code));
  const uint64 row_count = SPI_processed;
  SPI_finish();
  PopActiveSnapshot();
  CommandCounterIncrement();
  return row_count;
}

// The same values as core/source/source_session.cpp pins on the source.
static void pin_formats(const SpiFormats *formats) {
  pin("DateStyle", psprintf("ISO, %s", formats->date_order));
  pin("TimeZone", formats->timezone);
  for (const PinnedSetting &setting : kTextForms)
    pin(setting.name, setting.value);
  pin("standard_conforming_strings", "on");
  pin("search_path", formats->search_path);
}

SpiRows spi_execute_as_caller(SpiMode mode, const SpiFormats *formats, const char *sql,
                              int param_count, const char *const *params) {
  const int nest_level = NewGUCNestLevel();
  pin_settings();
  pin_formats(formats);
  const SpiRows rows = run(mode, SpiUse::kOnce, sql, param_count, params);
  AtEOXact_GUC(true, nest_level);
  return rows;
}

void spi_fire_deferred_triggers() {
  SPI_connect();
  const int code = SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0);
  if (code < 0)
    elog(ERROR, "SET CONSTRAINTS failed: %s", SPI_result_code_string(code));
  SPI_finish();
}

} // namespace parallel_loader
