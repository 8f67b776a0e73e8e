// plan_ticket: a session asks the coordinator of a run to plan one more pull; a small segment has
// the request on the way there and the answer on the way back.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

enum TicketState : uint32 {
  kTicketPosted,
  kTicketTaken,     // the coordinator plans
  kTicketWithdrawn, // the session is gone, or its statement has ended
  kTicketAnswered,  // pull_id, or the error
  kTicketReturned,  // the run ends: no pull of it can be planned any more
};

struct PlanTicket {
  pg_atomic_uint32 state;
  int caller_pid;
  int64 pull_id; // 0: see error
  ErrorReport error;
  char notice[kNoticeSize];
  char notice_hint[kNoticeSize];
  Size request_size;
  char request[FLEXIBLE_ARRAY_MEMBER]; // see request.hpp; without a password
};

/// Creates the segment; the creating transaction's owner detaches it, which withdraws a ticket that
/// is not answered.
dsm_segment *plan_ticket_create(const char *request, Size request_size, PlanTicket **ticket);
/// Attaches it until dsm_detach; nullptr when it is gone.
dsm_segment *plan_ticket_attach(dsm_handle handle, PlanTicket **ticket);

/// For the coordinator: false when the ticket was withdrawn.
bool plan_ticket_take(PlanTicket *ticket) noexcept;
/// For the coordinator, with the answer in it: false when nobody waits for it any more.
bool plan_ticket_answer(PlanTicket *ticket, TicketState state) noexcept;

} // namespace parallel_loader
