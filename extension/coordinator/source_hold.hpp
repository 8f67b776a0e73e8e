// source_hold: keeps the snapshot that a pull reads, while its chunks are read and, after a
// failure, for a resume.
#pragma once

#include "core/ledger/ledger.hpp"

#include "extension/bridge/mail_waiter.hpp"
#include "extension/coordinator/source_connection.hpp"
#include "extension/ledger/pull_record.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

extern "C" {
#include "utils/timestamp.h"
}

namespace parallel_loader {

/// What the coordinator does with its session while others read under its snapshot; the session
/// itself is the SourceConnection's, which outlives this.
class SourceHold {
public:
  SourceHold(SourceConnection &source, SharedPull *pull) : source_(source), pull_(pull) {}

  /// The session that `plan` was made by is the one to hold from now on.
  void begin(const PullRequest &pull, const PullPlan &plan);

  /// One more pull reads under the snapshot.
  void add(const PullRequest &pull, const PullPlan &plan);

  /// False once the snapshot was let go.
  [[nodiscard]] bool is_open() const noexcept { return source_.is_open(); }
  /// Throws Error 08006 when the source has ended the session, and the snapshot with it.
  void require_alive();
  /// True once a session of the source has waited ten seconds for a lock that this one holds. Looks
  /// once a second, whenever it is called.  Throws as Connection::exec does.
  [[nodiscard]] bool is_in_the_way();
  /// Lets go of the locks on the source's tables, and keeps the snapshot.
  void release_locks() { source_.release_locks(); }
  /// More rows are to be read, or may be.
  void note_unread() { unread_at_ = Clock::now(); }
  /// True once every row has been read, and no worker is in a session on the source any more.  One
  /// that may be long at its commit, and thought that it would read more, is parted from its
  /// session after a second.
  [[nodiscard]] bool part_from_workers();
  /// Lets the snapshot go, and makes sure that the source cannot lose what it showed, so that its
  /// bounds stay true; false when the source may, or has gone before.
  [[nodiscard]] bool end_durably();
  /// Lets the snapshot go.
  void close() { source_.close(); }

  /// Keeps the snapshot for a resume, for `hold_ms` at the most, until `why_end` has a reason,
  /// twice a second, or until somebody needs what the hold takes: the worker slot here, a lock on
  /// the source. Returns the reason.
  template <class WhyEnd>
  [[nodiscard]] std::string keep_for_resume(int64_t hold_ms, MailWaiter &waiter, WhyEnd why_end) {
    begin_hold(hold_ms, waiter);
    while (true) {
      try {
        std::string reason = why_end();
        if (reason.empty())
          reason = why_not_held();
        if (!reason.empty())
          return reason;
        sleep(waiter);
      } catch (const Stopped &) { // in the middle of a look: the next one knows why
      } catch (const Error &error) {
        return error.message();
      }
    }
  }

private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool has_waiters();
  [[nodiscard]] std::vector<int> worker_backends() const;
  void end_backends(const std::vector<int> &backends);
  void begin_hold(int64_t hold_ms, MailWaiter &waiter);
  [[nodiscard]] std::string why_not_held();
  void sleep(MailWaiter &waiter);

  SourceConnection &source_;
  SharedPull *pull_;
  bool is_standby_ = false;
  bool leaves_mark_ = false;                   // an append may begin at the pull's snapshot
  Clock::time_point unread_at_ = Clock::now(); // when a row was last to be read
  TimestampTz hold_ends_ = 0;
  Clock::time_point next_look_;                   // of is_in_the_way
  std::optional<Clock::time_point> waited_since_; // as it has seen
};

} // namespace parallel_loader
