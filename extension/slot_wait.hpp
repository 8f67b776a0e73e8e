// slot_wait: the wait of a pull for a background worker slot, of which the server has too few.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace parallel_loader {

class SlotWait {
public:
  /// The wait begins now.  `spared_pull` is not asked to give way: its snapshot is needed; 0: none.
  SlotWait(int64_t budget_ms, int64_t spared_pull) noexcept;

  /// Asks the pull that failed first, and still has a slot to hold its snapshot, to let both go,
  /// whoever owns it.  One is asked at a time.  Needs a transaction.
  void ask_for_room();
  /// Throws Error 53400, which says who has the slots, once the wait has lasted for the budget.
  void require_patience() const;

private:
  using Clock = std::chrono::steady_clock;

  std::chrono::milliseconds budget_;
  int64_t spared_pull_;
  Clock::time_point began_at_ = Clock::now();
  Clock::time_point asked_at_{};
  std::vector<int64_t> asked_;
};

} // namespace parallel_loader
