// source_hold: the coordinator's session on the source, whose transaction keeps the snapshot.
#pragma once

#include "core/ledger/ledger.hpp"
#include "core/source/old_holder.hpp"

#include "extension/bridge/order.hpp"
#include "extension/bridge/source_reader.hpp"
#include "extension/coordinator/resume_plan.hpp"
#include "extension/server/shared/shared_pull.hpp"

#include <chrono>
#include <optional>
#include <vector>

namespace parallel_loader {

class SourceHold {
public:
  SourceHold(Waiter &waiter, SharedPull *pull) : waiter_(waiter), pull_(pull) {}

  /// Connects for a new pull, on the order's snapshot if it names one, and plans it.
  PullPlan open_and_plan(const Order &order, int64_t pull_id);

  /// Connects for the open chunks of `recorded`, on its snapshot.  Where that is lost, a new one is
  /// taken if no chunk of it is done yet, or if the order allows it and ranges can stand it.
  /// A pull of which no chunk is done is planned anew; of others only what is new under a new
  /// snapshot.  Returns the plan to go on with, and in it what changes in the chunks.  Throws Error
  /// 55000 when the snapshot is lost, when the source is another one or an older state of it, or
  /// when what is done would not fit what is left.
  PullPlan open_for_resume(const Order &order, const RecordedPull &recorded,
                           const std::vector<ChunkRelation> &relations, int done_count);

  /// After the holder of a snapshot of version 0.3 was sent away: that its session on the source
  /// has ended proves that it was its own, and the snapshot the pull's.  Throws Error 55000 where
  /// it has not.
  void require_old_holder_left(const Order &order, const RecordedPull &recorded);

  [[nodiscard]] bool is_open() const noexcept { return reader_.has_value(); }
  /// Throws Error 08006 when the source has ended the session, and the snapshot with it.
  void require_alive();
  /// True once a session of the source has waited ten seconds for a lock that this one holds. Looks
  /// once a second, whenever it is called.  Throws as Connection::exec does.
  [[nodiscard]] bool is_in_the_way();
  /// Lets go of the locks on the source's tables, and keeps the snapshot.
  void release_locks();
  /// Ends those of these backends of the source that serve workers of the pull.
  void end_backends(const std::vector<int> &backends);
  /// Lets the snapshot go, and makes sure that the source cannot lose what it showed, so that its
  /// bounds stay true; false when the source may, or has gone before.
  [[nodiscard]] bool end_durably();
  /// Lets the snapshot go.
  void close();

private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool has_waiters();
  template <class Fn> PullPlan repeat(const Order &order, Fn fn);
  template <class Fn> PullPlan look_again(Fn fn);
  void rest(std::chrono::milliseconds time);
  void leave_queue();
  PullPlan open_and_plan_once(const Order &order);
  PullPlan open_for_resume_once(const Order &order, const RecordedPull &recorded,
                                const std::vector<ChunkRelation> &relations, int done_count);
  void open(const Order &order, const HeldSnapshot &snapshot);
  void open_old(const Order &order, const RecordedPull &recorded);
  void open_recorded(const Order &order, const RecordedPull &recorded);
  PullPlan plan(const Order &order);
  PullPlan plan_untouched(const ResumeRequest &request);
  ResumeSnapshot open_snapshot(const Order &order, const RecordedPull &recorded, int done_count);
  void note_mark(const PullRequest &request, const PullPlan &plan);

  Waiter &waiter_;
  SharedPull *pull_;
  int64_t pull_id_ = 0;
  bool is_standby_ = false;
  std::optional<SourceReader> reader_;
  std::optional<OldHolder> old_holder_;           // of the snapshot that a resume goes on under
  Clock::time_point next_look_;                   // of is_in_the_way
  std::optional<Clock::time_point> waited_since_; // as it has seen
  bool has_locks_ = false;                        // since it is open
  ResumeSnapshot resumed_ = ResumeSnapshot::kNew; // what it has opened
  bool leaves_mark_ = false;                      // an append may begin at the pull's snapshot
};

} // namespace parallel_loader
