// mailbox: what others want of a pull's coordinator.  Anybody with the right posts, it alone
// consumes, and writes what workers read.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// What parallel_pull_alter changes.
struct PullLimits {
  bool has_workers;
  uint32 workers; // to keep; 0: nothing is to move
  bool has_rate;
  int64 max_rate; // bytes a second; 0: no limit
};

void mailbox_init(Mailbox *mail);

/// Asks for the pull's end.  True if this is why it ends: no other reason was posted before, and
/// the pull had not come to its end.
bool mailbox_post_stop(SharedPull *pull, PullStop reason) noexcept;
/// The same, and cancels what the coordinator waits for in the server; at the last commit, which
/// no reason can change any more, that is all it does.
bool mailbox_post_urgent_stop(SharedPull *pull, PullStop reason);
/// The reason that was posted first; kStopDone once the pull has come to its end.
PullStop mailbox_stop(const SharedPull *pull) noexcept;
/// True when the pull ends, or has ended, before its last chunk.
bool mailbox_is_stop_posted(const SharedPull *pull);
/// After a stop was posted, or workers were left behind: waits until the coordinator has told the
/// workers, half a second at the most, so that this session's locks can go.
void mailbox_await_stop(SharedPull *pull);

/// Posts new limits, and waits until they hold, half a second at the most; false when the pull has
/// ended before the coordinator saw them.
bool mailbox_post_limits(SharedPull *pull, const PullLimits *limits);

/// Asks the coordinator of a failed pull to let its snapshot go; the first reason stays.
void mailbox_post_hold_end(SharedPull *pull, HoldEnd reason);

/// For the coordinator alone: tells workers to stop as was posted, and returns the reason why the
/// pull ends; kStopNone when it goes on.
PullStop mailbox_take_stop(SharedPull *pull);
/// For the coordinator alone: settles that the pull is done; false when a stop was posted before.
bool mailbox_close_for_done(SharedPull *pull) noexcept;

/// For the coordinator alone: makes posted limits hold for its workers; true if there were some.
bool mailbox_take_limits(SharedPull *pull) noexcept;

} // namespace parallel_loader
