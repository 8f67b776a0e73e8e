#include "extension/server/base/restricted_operation.hpp"

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "miscadmin.h"
}

namespace parallel_loader {

void restricted_operation_refuse() {
  if (!InSecurityRestrictedOperation())
    return;
  ereport(
      ERROR,
      (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
       errmsg("cannot use parallel pulls within security-restricted operation"),
       errdetail("ANALYZE, VACUUM, CLUSTER, REINDEX, CREATE INDEX and REFRESH MATERIALIZED VIEW "
                 "run the functions of indexes and views in such an operation."),
       errhint("Call the function in a statement of its own.")));
}

} // namespace parallel_loader
