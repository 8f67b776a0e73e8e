// local_relations: the tables that rows go into, as the ledger records them
// (core/ledger/local_relations).
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// The table itself, and those of its partitions and children that the current transaction holds
/// ROW EXCLUSIVE on, which is what COPY FROM takes on a partition that it routes a row to.  In the
/// current memory context.
char *local_relations_written(Oid table);

/// The table itself with all of its partitions and children as they are now.
char *local_relations_all(Oid table);

/// Waits for no more than a second until nobody appends to the table, and keeps others from it
/// until the transaction ends; false when somebody still does.
bool local_relations_lock_append(Oid table);

} // namespace parallel_loader
