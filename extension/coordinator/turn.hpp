// turn: how long a coordinator sleeps between two looks at all that it watches.
#pragma once

#include <cstdint>

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace parallel_loader {

inline constexpr long kTurnMs = 500;
/// Somebody waits for a worker slot, or a pull is about to end.
inline constexpr long kHurriedTurnMs = 100;

/// A turn may be cut short by a wake-up, so times are not counted in turns.
inline int64_t milliseconds_since(TimestampTz then) {
  return (GetCurrentTimestamp() - then) / 1000;
}

} // namespace parallel_loader
