// source_address: turns what a caller names as the source into connection parameters.
#pragma once

#include "extension/bridge/request.hpp"

#include <cstdint>
#include <string_view>

namespace parallel_loader {

struct NamedSource {
  SourceAddress address;
  std::string display; // the server's name, or the conninfo without its secrets
};

/// Resolves a conninfo string, a URI or a foreign server's name with the rights of `role`, and with
/// its user mapping: the pull's owner, whoever calls, since the owner may have written what the
/// source is told, and what the source runs (a filter) is the owner's.
/// Throws Error 42601 (conninfo that cannot be read), 42501 (an option that only superusers may
/// set), 2F003 (no password given for a role that is not a superuser), PgError for server look-ups.
[[nodiscard]] NamedSource resolve_source(std::string_view src_dsn, uint32_t role);

} // namespace parallel_loader
