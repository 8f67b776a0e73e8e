// subtransaction: runs server code whose error is to be looked at, not raised.
#pragma once

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "utils/resowner.h"
}

namespace parallel_loader {

/// What was current before it.
struct Subtransaction {
  MemoryContext context;
  ResourceOwner owner;
};

/// Begins one, and stays in the memory context that is current.
Subtransaction subtransaction_begin();
void subtransaction_commit(const Subtransaction *outer);
/// After an error in it, which may have left locks and open statements.
void subtransaction_abort(const Subtransaction *outer);

} // namespace parallel_loader
