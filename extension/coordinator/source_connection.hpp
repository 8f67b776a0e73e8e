// source_connection: the coordinator's session on the source, and on which snapshot it is.
#pragma once

#include "core/ledger/ledger.hpp"
#include "core/source/old_holder.hpp"

#include "extension/bridge/request.hpp"
#include "extension/bridge/source_reader.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <chrono>
#include <optional>

namespace parallel_loader {

/// What a resume has come to: the pull's own snapshot, or another one.
enum class ResumeSnapshot { kSame, kNew };

/// A pull that has nothing done loses nothing by a new snapshot, unless it shares the old one.
[[nodiscard]] bool may_take_new_snapshot(const RecordedPull &recorded, int done_count);

/// Throws Error 55000 where the source is not the one that the pull was started from, or is an
/// older state of it.
void require_same_source(const RecordedPull &recorded, const SourceIdentity &found);

/// The coordinator alone uses it.  It lives as long as that process, its session until close(), or
/// until the source ends it, and with it the snapshot.
class SourceConnection {
public:
  SourceConnection(Waiter &waiter, const SharedPull *pull) : waiter_(waiter), pull_(pull) {}

  /// Connects and begins the transaction on `snapshot`; without a name: on a new one.
  /// Throws as SourceReader does.
  void open(const Request &request, const HeldSnapshot &snapshot);

  /// Connects for the open chunks of `recorded`, on its snapshot.  Where that is lost, a new one is
  /// taken if no chunk of it is done yet, or if the request allows it and ranges can stand it. Does
  /// nothing but tell which one it is while a session that came so is open.  Throws Error 55000
  /// when the snapshot is lost, or when the source is another one or an older state of it.
  ResumeSnapshot open_for_resume(const Request &request, const RecordedPull &recorded,
                                 int done_count);

  /// After the holder of a snapshot of version 0.3 was sent away: that its session on the source
  /// has ended proves that it was its own, and the snapshot the pull's.  Throws Error 55000 where
  /// it has not.
  void require_old_holder_left(const Request &request, const RecordedPull &recorded,
                               int done_count);

  [[nodiscard]] bool is_open() const noexcept { return reader_.has_value(); }
  /// While it is open.
  [[nodiscard]] SourceReader &reader() { return reader_.value(); }
  [[nodiscard]] Connection &connection() { return reader().session().connection(); }

  /// Lets go of the locks on the source's tables that planning took, and keeps the snapshot.
  void release_locks();
  void note_planned() noexcept { has_locks_ = true; }
  /// After a failed statement: the transaction goes on, if the session does.
  void take_back() noexcept;
  /// After a lock was not to be had: keeps the snapshot of a resume, whose old holder may have to
  /// give way, and nothing else.
  void leave_queue();
  /// Sleeps; throws Stopped when the pull is to end.
  void rest(std::chrono::milliseconds time);
  /// Ends the session, which lets the snapshot go.
  void close();

private:
  void open_old(const Request &request, const RecordedPull &recorded);
  void open_recorded(const Request &request, const RecordedPull &recorded);
  ResumeSnapshot open_snapshot(const Request &request, const RecordedPull &recorded,
                               int done_count);

  Waiter &waiter_;
  const SharedPull *pull_;
  std::optional<SourceReader> reader_;
  std::optional<OldHolder> old_holder_;           // of the snapshot that a resume goes on under
  bool has_locks_ = false;                        // since it was planned
  ResumeSnapshot resumed_ = ResumeSnapshot::kNew; // what it has opened
};

} // namespace parallel_loader
