// plan_queue: the plans that sessions have asked a run's coordinator for, in their order.
#pragma once

#include "core/base/retry.hpp"

#include <chrono>
#include <deque>
#include <optional>

#include "extension/bridge/boundary.hpp"
#include "extension/server/shared/plan_ticket.hpp"

namespace parallel_loader {

/// A ticket, attached while it waits.  After a lock that was not to be had it waits for its turn.
struct QueuedTicket {
  using Clock = std::chrono::steady_clock;
  dsm_segment *segment = nullptr;
  PlanTicket *ticket = nullptr;
  Clock::time_point asked_at = Clock::now();
  Clock::time_point due_at = Clock::now();
  Backoff backoff = {};
};

class PlanQueue {
public:
  PlanQueue() = default;
  PlanQueue(const PlanQueue &) = delete;
  PlanQueue &operator=(const PlanQueue &) = delete;

  /// Takes the ticket up, unless it was withdrawn.
  void add(dsm_handle handle);
  /// The first ticket that is due, out of the queue; nullopt when none is.
  [[nodiscard]] std::optional<QueuedTicket> next();
  /// Puts one back, to be due after a pause that grows.
  void put_back(QueuedTicket ticket);
  [[nodiscard]] bool is_empty() const noexcept { return tickets_.empty(); }
  /// Gives all back: the run ends.
  void return_all();

private:
  std::deque<QueuedTicket> tickets_;
};

/// Ends the queue's use of a ticket that was answered, or that nobody waits for.
void release_ticket(QueuedTicket &ticket) noexcept;

} // namespace parallel_loader
