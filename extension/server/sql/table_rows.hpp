// table_rows: whether a local table has rows.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// Looks at the table, or at its partitions, without waiting for a lock and without keeping one.
/// Where the current user may not read them, or many blocks begin with dead rows, their size
/// decides. `if_locked` is what to say of one that somebody else has locked.
bool table_rows_found(Oid table, bool if_locked);

} // namespace parallel_loader
