#include "extension/bridge/source_address.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/server/sql/foreign_source.hpp"

extern "C" {
#include "catalog/pg_authid.h"
#include "utils/acl.h"
}

namespace parallel_loader {

namespace {

bool is_superuser(Oid role) {
  return call([&]() noexcept { return superuser_arg(role); });
}

ServerFiles server_files(Oid role) {
  const bool may_read =
      call([&]() noexcept { return has_privs_of_role(role, ROLE_PG_READ_SERVER_FILES); });
  return may_read ? ServerFiles::kMayRead : ServerFiles::kMayNotRead;
}

// Without a password of the caller's own, the source would see the operating system user that the
// server runs as: ident, trust, its password file.  dblink has the same rule.
void require_password(const ConnInfo &conninfo, Oid role) {
  if (!conninfo.get("password").empty())
    return;
  const bool is_caller = call([&]() noexcept { return role == GetUserId(); });
  std::string detail = "Roles without superuser rights must provide a password for the source.";
  if (!is_caller) {
    detail = "The connection to the source is made with the rights of the pull's owner, who is not "
             "a superuser.";
  }
  throw Error(sqlstate::kPasswordRequired, "password is required", detail,
              "Put it into the connection string (src_dsn; with parallel-loader: --source, or a "
              "password file), or into a user mapping of a foreign server.");
}

NamedSource resolve_conninfo(std::string_view src_dsn, Oid role) {
  NamedSource source;
  source.address.conninfo = ConnInfo::parse(src_dsn);
  if (!is_superuser(role)) {
    source.address.conninfo.require_options_allowed_to_users(server_files(role));
    require_password(source.address.conninfo, role);
    source.address.password_rule = PasswordRule::kMustBeUsed;
  }
  source.address.conninfo.require_regular_files();
  source.display = source.address.conninfo.display();
  return source;
}

NamedSource resolve_server(std::string_view name, Oid role) {
  const std::string server(name);
  const ForeignSource foreign =
      call([&]() noexcept { return foreign_source_options(server.c_str(), role); });
  ConnInfo untrusted;
  NamedSource source;
  for (int index = 0; index < foreign.option_count; index++) {
    const ForeignOption &option = foreign.options[index];
    if (!is_server_option(option.keyword))
      continue; // the wrapper's own, such as fetch_size
    source.address.conninfo.set(option.keyword, option.value);
    if (!option.is_trusted)
      untrusted.set(option.keyword, option.value);
  }
  if (!is_superuser(role)) {
    untrusted.require_options_allowed_to_users(server_files(role));
    if (foreign.needs_password) {
      require_password(source.address.conninfo, role);
      source.address.password_rule = PasswordRule::kMustBeUsed;
    }
  }
  source.address.conninfo.require_regular_files();
  source.display = server;
  return source;
}

} // namespace

NamedSource resolve_source(std::string_view src_dsn, uint32_t role) {
  return is_conninfo(src_dsn) ? resolve_conninfo(src_dsn, role) : resolve_server(src_dsn, role);
}

} // namespace parallel_loader
