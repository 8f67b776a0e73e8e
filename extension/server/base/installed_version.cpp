#include "extension/server/base/installed_version.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
}

namespace parallel_loader {

void installed_version_raise_old() {
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("extension \"parallel_loader\" in this database is older than its library"),
           errhint("Run ALTER EXTENSION parallel_loader UPDATE;")));
}

static void raise_not_installed() {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("extension \"parallel_loader\" is not installed in this database"),
                  errhint("Run CREATE EXTENSION parallel_loader CASCADE; and commit.")));
}

static void raise_old_library(const char *installed) {
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("extension \"parallel_loader\" in this database is newer than its library"),
           errdetail("The extension has version %s, and this session has loaded the library of "
                     "version %s.",
                     installed, PARALLEL_LOADER_VERSION),
           errhint("Reconnect. If the error stays, install the files of version %s.", installed)));
}

// Null when the extension is not installed.
static char *read_installed() {
  const Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
              CStringGetDatum("parallel_loader"));
  const SysScanDesc scan =
      systable_beginscan(catalog, ExtensionNameIndexId, true, nullptr, 1, &key);
  const HeapTuple tuple = systable_getnext(scan);
  char *version = nullptr;
  if (HeapTupleIsValid(tuple)) {
    bool is_null;
    const Datum value =
        heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(catalog), &is_null);
    version = is_null ? nullptr : TextDatumGetCString(value);
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return version;
}

// "0.10" comes after "0.9".
static bool is_before(const char *version, const char *other) {
  while (*version != '\0' || *other != '\0') {
    char *version_end;
    char *other_end;
    const long part = strtol(version, &version_end, 10);
    const long other_part = strtol(other, &other_end, 10);
    if (part != other_part)
      return part < other_part;
    version = *version_end == '\0' ? version_end : version_end + 1;
    other = *other_end == '\0' ? other_end : other_end + 1;
  }
  return false;
}

void installed_version_require() {
  char *installed = read_installed();
  if (installed == nullptr)
    raise_not_installed();
  if (strcmp(installed, PARALLEL_LOADER_VERSION) == 0) {
    pfree(installed);
    return;
  }
  if (is_before(installed, PARALLEL_LOADER_VERSION))
    installed_version_raise_old();
  raise_old_library(installed);
}

} // namespace parallel_loader
