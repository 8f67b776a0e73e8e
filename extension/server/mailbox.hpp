// mailbox: what others want of a pull's coordinator.  Anybody with the right posts, it alone
// consumes, and writes what workers read.
#pragma once

#include "extension/server/shared_pull.hpp"

namespace parallel_loader {

/// What parallel_pull_alter changes.
struct PullLimits {
  bool has_workers;
  uint32 workers; // to keep; 0: nothing is to move
  bool has_rate;
  int64 max_rate; // bytes a second; 0: no limit
};

void mailbox_init(Mailbox *mail);

/// Posts new limits; false when the pull has ended before the coordinator saw them.
bool mailbox_post_limits(SharedPull *pull, const PullLimits *limits);

/// Asks the coordinator of a failed pull to let its snapshot go; the first reason stays.
void mailbox_post_hold_end(SharedPull *pull, HoldEnd reason);

/// For the coordinator alone: makes posted limits hold for its workers; true if there were some.
bool mailbox_take_limits(SharedPull *pull);

} // namespace parallel_loader
