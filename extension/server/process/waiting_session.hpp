// waiting_session: the session that asks for a pull: starts the coordinator and waits for it.
#pragma once

#include "extension/server/process/background.hpp"
#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

inline constexpr long kWaitingTurnMs = 250;

/// A pull as the session that started it sees it.
struct WaitingSession {
  dsm_segment *segment;
  SharedPull *pull;
  BackgroundWorkerHandle *coordinator;
};

/// Makes the shared memory of a pull of `owner`'s.  Until waiting_session_release, the pull ends
/// when this session's statement does.  Raises what pull_owner raises about the owner.
WaitingSession waiting_session_prepare(Oid owner, Oid table, const char *request,
                                       Size request_size);

/// Raises 53400 when this server could never run a pull.
void waiting_session_require_slots();

/// Starts the coordinator; false while there is no room for it.  Coordinators never take the last
/// slot that is left for workers, so that of pulls that wait for each other's slots one goes on.
/// `takes_over` says that the coordinator of the same pull, which holds its snapshot, will leave.
/// Raises 53400 when the server could never run a pull.
bool waiting_session_launch(WaitingSession *session, bool takes_over);

/// One turn of waiting for room, which `is_first` tells the user about.
void waiting_session_wait_for_room(bool is_first);

/// Waits until the coordinator has reached `phase`; raises the pull's error if it fails before,
/// 55006 when the pull waits for a lock of this session, 57P01 when the coordinator is gone.
void waiting_session_wait(const WaitingSession *session, PullPhase phase);

/// Tells the user when fewer workers run than were asked for, or none, which is waited for.
void waiting_session_report_workers(int started, int wanted);

/// Sends the notice that the coordinator has left for the caller, if any; from kPhasePlanned on.
void waiting_session_report_notice(const SharedPull *pull);

/// Raises the pull's error, if it has one.
void waiting_session_raise_error(const WaitingSession *session);

/// Lets the pull go on by itself, or go away if it has ended.
void waiting_session_release(WaitingSession *session);

/// One turn of waiting for a pull, of `sleep_ms` at the most: sleeps, serves interrupts, notices a
/// lost client and the lock trap.
void waiting_session_wait_turn(SharedPull *pull, long sleep_ms = kWaitingTurnMs);

} // namespace parallel_loader
