// lock_class: the advisory locks that say who works on a pull or a table.
#pragma once

#include "core/base/pure.hpp"

#include <cstdint>

namespace parallel_loader {

/// The fourth field of the advisory lock that a pull's coordinator holds ("PL"; SQL functions use 1
/// and 2): pg_locks shows it as objsubid.
inline constexpr uint16_t kPullLockClass = 0x504c;
/// The same for appends ("PA").
inline constexpr uint16_t kAppendLockClass = 0x5041;
/// Likewise of the lock of a resume that begins.
inline constexpr uint16_t kResumeLockClass = kPullLockClass + 1;
/// Likewise, of no database and no pull, of the lock of those who start a coordinator.
inline constexpr uint16_t kStartLockClass = kPullLockClass + 2;

} // namespace parallel_loader
