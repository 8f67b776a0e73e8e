// retry: which failures another attempt may not meet, and how long to wait before it.
#pragma once

#include "core/base/pure.hpp"

#include <chrono>
#include <cstdint>
#include <random>
#include <string_view>

namespace parallel_loader {

/// True for failures that pass: a lost session (class 08 but 08P01), serialization (40001),
/// deadlock (40P01), no space on disk (53100), no session, worker slot or descriptor free (53300,
/// 53400, 53000), a server that starts or stops (57P01 to 57P03).
[[nodiscard]] bool is_worth_retrying(std::string_view sqlstate) noexcept;

/// The same for failures that the source reports, of which a lock that another session there holds,
/// or stands in line for, is one more (55P03).
[[nodiscard]] bool is_worth_retrying_on_source(std::string_view sqlstate) noexcept;

/// True for what a source says of locks that others hold: 55P03, 40P01.
[[nodiscard]] bool is_lock_trouble(std::string_view sqlstate) noexcept;

/// Waits that double from 250 ms to 30 s, each drawn between half of that and the whole, so that
/// workers that failed together do not come back together.
class Backoff {
public:
  [[nodiscard]] std::chrono::milliseconds next();
  /// Begins anew, after a success.
  void reset() noexcept { failures_ = 0; }

private:
  [[nodiscard]] static uint32_t seed() noexcept;

  int failures_ = 0;
  std::minstd_rand random_{seed()};
};

} // namespace parallel_loader
