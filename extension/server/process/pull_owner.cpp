#include "extension/server/process/pull_owner.hpp"

#include "extension/server/base/compat.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
}

namespace parallel_loader {

bool pull_owner_may_log_in(Oid owner) {
  const HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner));
  if (!HeapTupleIsValid(tuple)) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("the role that owned the pull was dropped"),
             errhint("Pull the table again, as another role.")));
  }
  const bool may_log_in = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolcanlogin;
  ReleaseSysCache(tuple);
  return may_log_in;
}

void pull_owner_require_connect(Oid owner) {
  static_cast<void>(pull_owner_may_log_in(owner)); // a dropped one may connect as everybody may
  if (compat_database_aclcheck(MyDatabaseId, owner, ACL_CONNECT) == ACLCHECK_OK)
    return;
  const char *database = get_database_name(MyDatabaseId);
  const char *role = GetUserNameFromId(owner, false);
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("permission denied for database %s", database),
           errdetail("The background processes of a pull connect as its owner, role \"%s\".", role),
           errhint("GRANT CONNECT ON DATABASE %s TO %s;", quote_identifier(database),
                   quote_identifier(role))));
}

} // namespace parallel_loader
