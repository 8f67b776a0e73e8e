// slot_wait: the wait of a pull for a background worker slot, of which the server has too few.
#pragma once

#include "core/base/error.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace parallel_loader {

/// Who has the server's background worker slots, for people; of the failed pulls that hold their
/// snapshot, those of the current user by their ids.  Needs a transaction.
[[nodiscard]] std::string slot_holders();

/// 53400, with the holders, and the calls that free the slots of held pulls.  `again` says what to
/// do later: `pull again`.  Needs a transaction.
[[nodiscard]] Error no_free_slot(const std::string &again);

class SlotWait {
public:
  /// The wait begins now.  `spared_pull` is not asked to give way: its snapshot is needed; 0: none.
  SlotWait(int64_t budget_ms, int64_t spared_pull) noexcept;

  /// Asks the pull that failed first, and still has a slot to hold its snapshot, to let both go,
  /// whoever owns it.  One is asked at a time.  Needs a transaction.
  void ask_for_room();
  /// Throws Error 53400, which says who has the slots, once the wait has lasted for the budget.
  /// Needs a transaction.
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
