#include "extension/server/process/plan_session.hpp"

#include "extension/server/base/notice.hpp"
#include "extension/server/process/waiting_session.hpp"
#include "extension/server/shared/plan_ticket.hpp"
#include "extension/server/shared/run_inbox.hpp"

namespace parallel_loader {

static bool has_answer(PlanTicket *ticket) {
  const uint32 state = pg_atomic_read_u32(&ticket->state);
  pg_read_barrier();
  return state == kTicketAnswered || state == kTicketReturned;
}

// Detaching withdraws a ticket that nobody has answered.
static int64 end_of_ticket(dsm_segment *segment, const PlanTicket *ticket, bool is_answered) {
  const int64 pull_id = is_answered ? ticket->pull_id : 0;
  if (is_answered && pull_id == 0) {
    const ErrorReport report = ticket->error;
    dsm_detach(segment);
    error_report_raise(&report);
  }
  if (pull_id != 0 && ticket->notice[0] != '\0')
    notice(ticket->notice, "", ticket->notice_hint);
  dsm_detach(segment);
  return pull_id;
}

int64 plan_session_run(SharedPull *run, const char *request, Size request_size) {
  PlanTicket *ticket = nullptr;
  dsm_segment *segment = plan_ticket_create(request, request_size, &ticket);
  RunMessage message = {};
  message.news = kNewsTicket;
  message.ticket = dsm_segment_handle(segment);
  if (!run_inbox_post(run, &message))
    return end_of_ticket(segment, ticket, false);
  while (!has_answer(ticket) && !shared_pull_has_ended(run))
    waiting_session_wait_turn(run);
  const bool is_answered = pg_atomic_read_u32(&ticket->state) == kTicketAnswered;
  pg_read_barrier();
  return end_of_ticket(segment, ticket, is_answered);
}

} // namespace parallel_loader
