// old_coordinator: coordinators that run on with the library of an earlier version, which they had
// loaded before it was replaced.  Their shared memory has another layout, so signals are all that
// reaches them.
#pragma once

#include "extension/ledger/pull_lookup.hpp"

namespace parallel_loader {

/// Throws Error 55000 if the pull's coordinator is such a one.
void refuse_old_coordinator(const FoundPull &found);

/// Cancels the pull if its coordinator is such a one; false when it is not.
bool cancel_old_coordinator(const FoundPull &found);

/// Has such a one let the snapshot of a failed pull go; false when it is none, or holds none.
bool end_old_holder(const FoundPull &found);

} // namespace parallel_loader
