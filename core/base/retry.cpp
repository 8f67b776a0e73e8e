#include "core/base/retry.hpp"

#include <unistd.h>

#include <algorithm>

namespace parallel_loader {

using std::chrono::milliseconds;

bool is_worth_retrying(std::string_view sqlstate) noexcept {
  constexpr std::string_view kPassing[] = {"40001", "40P01", "53000", "53100", "53300",
                                           "53400", "57P01", "57P02", "57P03"};
  // Of class 08, a breach of the protocol would only happen again.
  if (sqlstate.starts_with("08"))
    return sqlstate != "08P01";
  return std::ranges::find(kPassing, sqlstate) != std::end(kPassing);
}

// Not from std::random_device, which may throw: that processes differ is enough.
uint32_t Backoff::seed() noexcept {
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  return static_cast<uint32_t>(now) ^ (static_cast<uint32_t>(getpid()) << 16U);
}

bool is_worth_retrying_on_source(std::string_view sqlstate) noexcept {
  return is_worth_retrying(sqlstate) || is_lock_trouble(sqlstate);
}

bool is_lock_trouble(std::string_view sqlstate) noexcept {
  return sqlstate == "55P03" || sqlstate == "40P01";
}

milliseconds Backoff::next() {
  constexpr milliseconds kFirst{250};
  constexpr milliseconds kLongest{30'000};
  constexpr int kDoublings = 7; // 250 ms * 2^7 is above the longest
  const milliseconds whole = std::min(kFirst * (1 << std::min(failures_, kDoublings)), kLongest);
  ++failures_;
  std::uniform_int_distribution<int64_t> between(whole.count() / 2, whole.count());
  return milliseconds(between(random_));
}

} // namespace parallel_loader
