#include "orchestrator/run/table_pool.hpp"

#include "core/connection/poll_waiter.hpp"
#include "orchestrator/run/signals_blocked.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace parallel_loader {

void work_on_tables(std::span<const size_t> tables, int session_count, const OpenMover &open,
                    const Interrupt &interrupt,
                    const std::function<void(Mover &, size_t table)> &work) {
  std::atomic<size_t> next{0};
  std::exception_ptr first_error;
  std::mutex mutex;
  const auto work_on_next = [&] {
    try {
      PollWaiter waiter(interrupt.fd());
      std::unique_ptr<Mover> mover;
      for (size_t index = next++; index < tables.size(); index = next++) {
        if (!mover)
          mover = open(waiter);
        work(*mover, tables[index]);
      }
    } catch (...) {
      next = tables.size();
      const std::lock_guard lock(mutex);
      if (!first_error)
        first_error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads; // joined at the end of the block
    const SignalsBlocked blocked;      // an interrupt wakes their waits by the main thread
    const size_t count = std::min(tables.size(), static_cast<size_t>(session_count));
    for (size_t thread = 0; thread < count; ++thread)
      threads.emplace_back(work_on_next);
  }
  if (first_error)
    std::rethrow_exception(first_error);
}

} // namespace parallel_loader
