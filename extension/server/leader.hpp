// leader: the session that asks for a pull: starts the coordinator and waits for it.
#pragma once

#include "extension/server/background.hpp"
#include "extension/server/shared_pull.hpp"

namespace parallel_loader {

inline constexpr long kLeaderTurnMs = 250;

/// A pull as the session that started it sees it.
struct Leader {
  dsm_segment *segment;
  SharedPull *pull;
  BackgroundWorkerHandle *coordinator;
};

/// Starts the coordinator of a pull of `owner`'s.  Until leader_release, the pull ends when this
/// session's statement does.
/// Raises 53400 when no background worker slot is free, what pull_owner raises about the owner.
Leader leader_start(Oid owner, Oid table, const char *order, Size order_size);

/// Waits until the coordinator has reached `phase`; raises the pull's error if it fails before,
/// 55006 when the pull waits for a lock of this session, 57P01 when the coordinator is gone.
void leader_wait(const Leader *leader, PullPhase phase);

/// Tells the user when fewer workers run than were asked for.
void leader_report_workers(int started, int wanted);

/// Raises the pull's error, if it has one.
void leader_raise_error(const Leader *leader);

/// Lets the pull go on by itself, or go away if it has ended.
void leader_release(Leader *leader);

/// One turn of waiting for a pull, of `sleep_ms` at the most: sleeps, serves interrupts, notices a
/// lost client and the lock trap.
void leader_wait_turn(SharedPull *pull, long sleep_ms = kLeaderTurnMs);

/// Keeps the text of the running statement out of pg_stat_activity and the server log.
void leader_hide_statement();

} // namespace parallel_loader
