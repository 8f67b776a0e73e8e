// table_rows: whether a local table has rows.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// Looks at the table and its partitions without waiting for a lock and without keeping one.  Where
/// the current user may not read them, or many blocks begin with dead rows, their size decides.
bool table_rows_found(Oid table);

} // namespace parallel_loader
