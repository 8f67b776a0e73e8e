// scratch_memory: the server's memory for one turn of a loop.
#pragma once

#include "extension/bridge/boundary.hpp"

extern "C" {
#include "utils/memutils.h"
}

namespace parallel_loader {

/// A statement frees its memory when it ends, which is late for one that waits for hours.  While
/// this object lives, what the server allocates comes from a context of its own.
class ScratchMemory {
public:
  ScratchMemory()
      : context_(call([]() noexcept {
          return AllocSetContextCreate(CurrentMemoryContext, "parallel_loader turn",
                                       ALLOCSET_DEFAULT_SIZES);
        })),
        caller_(MemoryContextSwitchTo(context_)) {}
  ScratchMemory(const ScratchMemory &) = delete;
  ScratchMemory &operator=(const ScratchMemory &) = delete;
  ~ScratchMemory() {
    MemoryContextSwitchTo(caller_);
    MemoryContextDelete(context_); // frees, never raises
  }

  /// Frees what the turn before has left.
  void reset() { MemoryContextReset(context_); }

private:
  MemoryContext context_;
  MemoryContext caller_;
};

} // namespace parallel_loader
