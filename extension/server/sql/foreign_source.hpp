// foreign_source: connection options of a source that is named by a foreign server.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

struct ForeignOption {
  const char *keyword;
  const char *value;
  /// Set by somebody whom the server trusts with its files: the owner of the server is a superuser.
  bool is_trusted;
};

struct ForeignSource {
  int option_count;
  ForeignOption *options; // wrapper's, server's, then the user mapping's; later ones win
  bool needs_password;    // false when a superuser has set password_required = false (postgres_fdw)
};

/// Collects the options of server `name` for `role`.
/// Raises 42704 when there is no such server or no user mapping, 42501 without USAGE on it, 42809
/// when it belongs to a wrapper other than dblink_fdw and postgres_fdw.
ForeignSource foreign_source_options(const char *name, Oid role);

} // namespace parallel_loader
