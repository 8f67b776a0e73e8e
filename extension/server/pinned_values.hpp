// pinned_values: the settings that decide how values of a stream are read, and whether code of
// users (triggers, defaults, checks, index expressions) has changed them between two rows.
#pragma once

#include "extension/postgres.hpp"

namespace parallel_loader {

/// Keeps the settings as they are now, for the two functions below.  Outside of a COPY.
void pinned_values_note();

/// Raises 55000 when a setting that decides how rows are read, of a binary stream or of a text, is
/// not as it was noted: rows may have been read by it since the last call.  Costs a few comparisons
/// unless one was touched.
void pinned_values_require(bool is_binary);

/// Sets back what was changed, before a stream begins.
void pinned_values_restore();

} // namespace parallel_loader
