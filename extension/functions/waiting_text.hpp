// waiting_text: what keeps a pull from moving, in words.
#pragma once

#include <string>

#include "extension/ledger/pull_lookup.hpp"

namespace parallel_loader {

/// What a pull waits for that is alive: a call of somebody's, a worker slot, or what its watchdog
/// has found; empty while it moves.
[[nodiscard]] std::string waiting_text(const FoundPull &found, SharedPull *pull);

/// True while no worker can move the pull, whatever the rate of a moment ago.
[[nodiscard]] bool stands_still(SharedPull *pull);

/// When the pull ends unless somebody works on it; 0: somebody does, or its coordinator
/// starts workers itself.
[[nodiscard]] TimestampTz given_up_at(SharedPull *pull);

} // namespace parallel_loader
