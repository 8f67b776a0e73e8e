// last_commit: the commit that ends a pull, the only one that may wait for a synchronous standby.
#pragma once

#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// In a session that begins or joins the pull: the last commit is to wait for as much as this
/// session's synchronous_commit says, and for as much as others ask for.
void last_commit_ask(SharedPull *pull);

/// In a session that no longer waits for the pull it began: nor is the last commit to.
void last_commit_give_up(SharedPull *pull);

/// In the coordinator, before the transaction: makes its commit go by what was asked for, and at
/// least flush locally.  An urgent stop that is posted from now on ends its wait.
void last_commit_begin(SharedPull *pull);
/// In the transaction, when all is written: nothing but the wait for a standby is to be interrupted
/// until others know how the pull has ended.
void last_commit_seal() noexcept;
/// After the commit: notes whether its wait was cut short.
void last_commit_end(SharedPull *pull);
/// When others know.
void last_commit_unseal() noexcept;

/// True while the last commit waits for a synchronous standby.
bool last_commit_waits(SharedPull *pull) noexcept;
/// In a session that has waited for a pull that is done: warns if that wait was cut short.
void last_commit_report(const SharedPull *pull);

} // namespace parallel_loader
