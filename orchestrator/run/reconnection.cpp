#include "orchestrator/run/reconnection.hpp"

#include "orchestrator/base/failure.hpp"

#include <chrono>
#include <optional>
#include <thread>

namespace parallel_loader {

void read_or_reconnect(const std::function<void()> &read, const std::function<void()> &drop) {
  using Clock = std::chrono::steady_clock;
  // A server that has crashed is there again after a moment, or only after a long recovery.
  constexpr std::chrono::seconds kRestartPatience{5};
  constexpr std::chrono::milliseconds kPause{100};
  const Clock::time_point gives_up_at = Clock::now() + kRestartPatience;
  std::optional<Failure> lost;
  do {
    try {
      return read();
    } catch (const Failure &failure) {
      if (!lost)
        lost = failure;
      drop();
    }
    std::this_thread::sleep_for(kPause);
  } while (Clock::now() < gives_up_at);
  // Why the session was lost says more than why there is no other.
  throw Failure(ExitStatus::kFailed, *lost);
}

} // namespace parallel_loader
