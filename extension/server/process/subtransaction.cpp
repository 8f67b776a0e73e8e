#include "extension/server/process/subtransaction.hpp"

extern "C" {
#include "access/xact.h"
}

namespace parallel_loader {

Subtransaction subtransaction_begin() {
  const Subtransaction outer = {CurrentMemoryContext, CurrentResourceOwner};
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(outer.context);
  return outer;
}

static void go_back(const Subtransaction *outer) {
  MemoryContextSwitchTo(outer->context);
  CurrentResourceOwner = outer->owner;
}

void subtransaction_commit(const Subtransaction *outer) {
  ReleaseCurrentSubTransaction();
  go_back(outer);
}

void subtransaction_abort(const Subtransaction *outer) {
  RollbackAndReleaseCurrentSubTransaction();
  go_back(outer);
}

} // namespace parallel_loader
