// old_versions: C functions that only older versions of the SQL script name.  The script of such a
// version can still be installed, to be updated from, and its views say what to do.
#include "extension/bridge/boundary.hpp"
#include "extension/server/base/installed_version.hpp"

extern "C" {
#include "fmgr.h"

PG_FUNCTION_INFO_V1(parallel_loader_live_pulls);
PG_FUNCTION_INFO_V1(parallel_loader_current_state);
}

Datum parallel_loader_live_pulls(PG_FUNCTION_ARGS) {
  static_cast<void>(fcinfo);
  parallel_loader::installed_version_raise_old();
}

Datum parallel_loader_current_state(PG_FUNCTION_ARGS) {
  static_cast<void>(fcinfo);
  parallel_loader::installed_version_raise_old();
}
