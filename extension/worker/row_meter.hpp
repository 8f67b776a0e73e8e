// row_meter: says what a worker has in flight, and keeps it to the pull's pause and rate.
#pragma once

#include "extension/bridge/latch_waiter.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <cstdint>

namespace parallel_loader {

class RowMeter {
public:
  RowMeter(SharedPull *pull, int slot) : pull_(pull), slot_(pull->slots[slot]) {}

  /// Shows the chunk's rows and bytes so far, of which `size` bytes are new, and waits as pause and
  /// rate want it.  Throws Stopped.
  void pass(int64_t rows, int64_t bytes, int64_t size);

private:
  SharedPull *pull_;
  WorkerSlot &slot_;
};

} // namespace parallel_loader
