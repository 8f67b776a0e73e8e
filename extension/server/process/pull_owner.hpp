// pull_owner: whether the role that a pull belongs to can have background processes here.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// True if the role has LOGIN.  Raises 42704 when there is no such role any more.
bool pull_owner_may_log_in(Oid owner);

/// Raises 42704 when there is no such role any more; 42501, with the command that helps, unless it
/// may connect to this database.
void pull_owner_require_connect(Oid owner);

} // namespace parallel_loader
