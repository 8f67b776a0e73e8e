#include "extension/bridge/latch_waiter.hpp"

#include <algorithm>

namespace parallel_loader {

// The stop flag is set together with the latch, so this bounds only what a lost wake-up costs.
static constexpr std::chrono::milliseconds kSlice{500};

LatchWaiter::~LatchWaiter() {
  socket_wait_free(&socket_wait_);
} // closes a descriptor, never raises

Woke LatchWaiter::wait(int fd, Want want, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  has_waited_ = true;
  const bool has_limit = timeout >= std::chrono::milliseconds::zero();
  const Clock::time_point deadline = Clock::now() + timeout;
  for (;;) {
    std::chrono::milliseconds slice = kSlice;
    if (has_limit) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      slice = std::clamp(left, std::chrono::milliseconds::zero(), kSlice);
    }
    const bool is_ready = call([&]() noexcept {
      return socket_wait(&socket_wait_, fd, want == Want::kWrite, static_cast<long>(slice.count()));
    });
    heed_stop();
    if (is_ready)
      return Woke::kReady;
    if (has_limit && Clock::now() >= deadline)
      return Woke::kTimeout;
  }
}

void LatchWaiter::nap(std::chrono::microseconds time) {
  call([&]() noexcept { socket_nap(static_cast<long>(time.count())); });
  heed_stop();
}

void LatchWaiter::heed_stop() {
  look_up();
  if (pg_atomic_read_u32(stop_) != 0)
    throw Stopped();
}

} // namespace parallel_loader
