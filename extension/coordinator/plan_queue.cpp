#include "extension/coordinator/plan_queue.hpp"

namespace parallel_loader {

void release_ticket(QueuedTicket &ticket) noexcept {
  if (ticket.segment != nullptr)
    dsm_detach(ticket.segment); // raises nothing
  ticket.segment = nullptr;
}

void PlanQueue::add(dsm_handle handle) {
  QueuedTicket queued;
  queued.segment = call([&]() noexcept {
    dsm_segment *segment = plan_ticket_attach(handle, &queued.ticket);
    if (segment != nullptr)
      dsm_pin_mapping(segment); // no transaction of ours ends it
    return segment;
  });
  if (queued.segment == nullptr)
    return;
  if (plan_ticket_take(queued.ticket))
    tickets_.push_back(queued);
  else
    release_ticket(queued);
}

std::optional<QueuedTicket> PlanQueue::next() {
  const QueuedTicket::Clock::time_point now = QueuedTicket::Clock::now();
  for (auto ticket = tickets_.begin(); ticket != tickets_.end(); ++ticket) {
    if (ticket->due_at > now)
      continue;
    QueuedTicket found = *ticket;
    tickets_.erase(ticket);
    return found;
  }
  return std::nullopt;
}

void PlanQueue::put_back(QueuedTicket ticket) {
  ticket.due_at = QueuedTicket::Clock::now() + ticket.backoff.next();
  tickets_.push_back(ticket);
}

void PlanQueue::return_all() {
  for (QueuedTicket &ticket : tickets_) {
    plan_ticket_answer(ticket.ticket, kTicketReturned);
    release_ticket(ticket);
  }
  tickets_.clear();
}

} // namespace parallel_loader
