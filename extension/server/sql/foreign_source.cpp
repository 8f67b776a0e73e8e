#include "extension/server/sql/foreign_source.hpp"

#include "extension/server/base/compat.hpp"

extern "C" {
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/acl.h"
}

namespace parallel_loader {

static void append(ForeignSource *source, List *options, bool is_trusted) {
  ListCell *cell;
  foreach (cell, options) {
    auto *option = static_cast<DefElem *>(lfirst(cell));
    if (strcmp(option->defname, "password_required") == 0) {
      source->needs_password = defGetBoolean(option); // postgres_fdw lets only superusers set it
      continue;
    }
    source->options[source->option_count++] = {option->defname, defGetString(option), is_trusted};
  }
}

ForeignSource foreign_source_options(const char *name, Oid role) {
  ForeignServer *server = GetForeignServerByName(name, true);
  if (server == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("server \"%s\" does not exist", name),
                    errhint("A source is a connection string such as \"host=… dbname=…\", a "
                            "postgresql:// URI, or the name of a foreign server.")));
  }
  const AclResult right = compat_foreign_server_aclcheck(server->serverid, role, ACL_USAGE);
  if (right != ACLCHECK_OK && role != GetUserId()) {
    ereport(
        ERROR,
        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
         errmsg("permission denied for foreign server %s", server->servername),
         errdetail("The connection to the source is made with the rights of the pull's owner.")));
  }
  if (right != ACLCHECK_OK)
    aclcheck_error(right, OBJECT_FOREIGN_SERVER, server->servername);
  ForeignDataWrapper *wrapper = GetForeignDataWrapper(server->fdwid);
  if (strcmp(wrapper->fdwname, "dblink_fdw") != 0 &&
      strcmp(wrapper->fdwname, "postgres_fdw") != 0) {
    ereport(ERROR,
            (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("server \"%s\" cannot be a source", name),
             errdetail("It belongs to foreign-data wrapper \"%s\".", wrapper->fdwname),
             errhint("Create a server of dblink_fdw or postgres_fdw.")));
  }
  UserMapping *mapping = GetUserMapping(role, server->serverid);

  ForeignSource source = {};
  source.needs_password = true;
  const int total =
      list_length(wrapper->options) + list_length(server->options) + list_length(mapping->options);
  source.options = static_cast<ForeignOption *>(palloc0(sizeof(ForeignOption) * Max(1, total)));
  append(&source, wrapper->options, true);
  append(&source, server->options, superuser_arg(server->owner));
  append(&source, mapping->options, false);
  return source;
}

} // namespace parallel_loader
