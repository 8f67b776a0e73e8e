#include "extension/server/shared/plan_ticket.hpp"

#include <initializer_list>

namespace parallel_loader {

static void withdraw(dsm_segment *segment, Datum /*unused*/) {
  auto *ticket = static_cast<PlanTicket *>(dsm_segment_address(segment));
  for (uint32 state : {kTicketPosted, kTicketTaken})
    pg_atomic_compare_exchange_u32(&ticket->state, &state, kTicketWithdrawn);
}

dsm_segment *plan_ticket_create(const char *request, Size request_size, PlanTicket **ticket) {
  dsm_segment *segment = dsm_create(offsetof(PlanTicket, request) + request_size, 0);
  auto *created = static_cast<PlanTicket *>(dsm_segment_address(segment));
  pg_atomic_init_u32(&created->state, kTicketPosted);
  created->caller_pid = MyProcPid;
  created->pull_id = 0;
  created->notice[0] = created->notice_hint[0] = '\0';
  created->request_size = request_size;
  memcpy(created->request, request, request_size);
  on_dsm_detach(segment, withdraw, Datum(0));
  *ticket = created;
  return segment;
}

dsm_segment *plan_ticket_attach(dsm_handle handle, PlanTicket **ticket) {
  dsm_segment *segment = dsm_attach(handle);
  if (segment != nullptr)
    *ticket = static_cast<PlanTicket *>(dsm_segment_address(segment));
  return segment;
}

bool plan_ticket_take(PlanTicket *ticket) noexcept {
  uint32 posted = kTicketPosted;
  return pg_atomic_compare_exchange_u32(&ticket->state, &posted, kTicketTaken) ||
         posted == kTicketTaken;
}

// What was written into it before is there for whoever sees the new state.
bool plan_ticket_answer(PlanTicket *ticket, TicketState state) noexcept {
  uint32 taken = kTicketTaken;
  pg_write_barrier();
  const bool is_awaited = pg_atomic_compare_exchange_u32(&ticket->state, &taken, state);
  if (is_awaited)
    shared_pull_wake(ticket->caller_pid);
  return is_awaited;
}

} // namespace parallel_loader
