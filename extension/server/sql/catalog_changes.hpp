// catalog_changes: whether this database's catalog of types has changed since one has read it.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// A number that grows whenever what types are, and what orders them, may have changed, in this
/// transaction or in another that has committed.  Needs a transaction.
uint64 catalog_changes_of_types();

} // namespace parallel_loader
