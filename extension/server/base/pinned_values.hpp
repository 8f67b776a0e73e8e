// pinned_values: the settings that decide how values of a stream are read, and whether code of
// users (triggers, defaults, checks, index expressions) has changed them between two rows.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// What is done with values: each is decided by settings of its own.
enum ValueUse : unsigned {
  kReadBinary = 1,
  kReadText = 2,
  kReadNames = 4, // of objects, along search_path
  kWriteText = 8,
};

/// Keeps the settings as they are now, for the two functions below.  Outside of a COPY.
void pinned_values_note();

/// Raises 55000 when a setting that decides one of these uses (ValueUse) is not as it was noted:
/// rows may have been read or written by it since the last call.  Costs a few comparisons unless
/// one was touched.
void pinned_values_require(unsigned uses);

/// True if text of the type names objects: regclass and its kin, and whatever is made of them.
bool pinned_values_has_names(Oid type);

/// Sets back what was changed, before a stream begins.
void pinned_values_restore();

} // namespace parallel_loader
