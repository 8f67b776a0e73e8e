#include "extension/server/sql/catalog_changes.hpp"

extern "C" {
#include "utils/inval.h"
#include "utils/syscache.h"
}

namespace parallel_loader {

static uint64 changes = 0;

static void note_change(Datum, int, uint32) {
  changes++;
}

// The catalogs that core/source/types.cpp reads.
static void watch() {
  static constexpr int kCaches[] = {TYPEOID, RANGETYPE, ATTNUM,       CLAOID, AMOPOPID,   OPEROID,
                                    PROCOID, COLLOID,   NAMESPACEOID, AMOID,  DATABASEOID};
  static bool is_watched = false;
  if (is_watched)
    return;
  for (const int cache : kCaches)
    CacheRegisterSyscacheCallback(cache, note_change, Datum(0));
  is_watched = true;
}

uint64 catalog_changes_of_types() {
  watch();
  AcceptInvalidationMessages();
  return changes;
}

} // namespace parallel_loader
