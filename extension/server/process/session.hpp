// session: transactions and session settings of our background processes.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// How a background process is to see and write values: the caller's way where COPY would use it,
/// pinned where the source's output has to be read unchanged.
struct SessionSettings {
  const char *timezone;
  const char *date_order;
  const char *search_path;
  const char *session_replication_role;
};

/// Sets what roles and databases may have set otherwise: formats, time-outs, isolation, encoding.
/// `settings` may be nullptr for a process that writes the ledger only.
void session_pin_settings(const SessionSettings *settings);

/// Commits of this process are flushed here, and wait for no standby.
void session_commit_locally();

/// Commits of this process may be lost in a crash, whole: the pull's last commit flushes them all.
void session_commit_asynchronously();

/// Waits for locks end after three seconds from now on, or not at all again.
void session_limit_locks(bool is_limited);

/// Starts a transaction of the session user's, with an active snapshot.  Until it has been
/// committed or aborted, no statement can become another role, not even the session user.
void session_begin();
/// Commits.
void session_commit();
/// Aborts whatever transaction is open.
void session_abort();
/// Frees what was allocated since the last transaction, or the last call, and goes on in that
/// memory: for loops outside of transactions.
void session_reset_memory();
/// Lets following statements see the rows written so far.
void session_next_command();

/// Flushes the write-ahead log at the next commit, and with it all commits before.
void session_force_flush();
/// Holds off cancels from here on, and drops one that is pending.
void session_hold_cancel();

/// Shows `activity` in pg_stat_activity.
void session_report_activity(const char *activity);

/// Writes a line to the server log; nobody may be waiting for the pull to hear of its failure, or
/// of why it was not taken up.
void session_log_failure(int64 pull_id, bool has_begun, const char *message);

void session_log_debug(const char *message);
void session_log_no_mark(int64 pull_id);
void session_log_notice(int64 pull_id, const char *message);
void session_log_stall(int64 pull_id, const char *waiting_for);

/// Marks this process as the pull's coordinator, for as long as it lives; false when another one
/// is.
bool session_try_lock_pull(int64 pull_id);

/// Waits until this process is the only one that appends to the table, for as long as it lives.
void session_lock_append(Oid table);
/// The same until the transaction ends, without waiting; false when another process does.
bool session_try_lock_append(Oid table);

/// Keeps other resumes of the pull away until it is unlocked or this process ends; false when
/// another one does.
bool session_try_lock_resume(int64 pull_id);
void session_unlock_resume(int64 pull_id);
/// As session_try_lock_resume, until the transaction ends; twice by one transaction is once.
bool transaction_try_lock_resume(int64 pull_id);
void transaction_unlock_resume(int64 pull_id);

} // namespace parallel_loader
