// interrupt: see interrupt.hpp.
#include "orchestrator/interrupt.hpp"

#include "orchestrator/exit_status.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace parallel_loader {

namespace {

// What a signal handler can reach.
std::atomic<Wakeup *> signalled{nullptr};
static_assert(std::atomic<Wakeup *>::is_always_lock_free);

extern "C" void on_signal(int) {
  // Taken by the first signal; the second finds nothing to wake.
  Wakeup *wakeup = signalled.exchange(nullptr);
  if (wakeup == nullptr) {
    // Off the line of the progress bar.
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, "\n", 1);
    _exit(static_cast<int>(ExitStatus::kInterrupted));
  }
  wakeup->raise();
}

void handle_with(void (*handler)(int)) noexcept {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART; // every wait also polls the wakeup
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

} // namespace

Interrupt::Interrupt() {
  signalled = &wakeup_;
  handle_with(on_signal);
}

Interrupt::~Interrupt() {
  handle_with(SIG_DFL);
  signalled = nullptr;
}

} // namespace parallel_loader
