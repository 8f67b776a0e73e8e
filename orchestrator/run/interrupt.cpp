#include "orchestrator/run/interrupt.hpp"

#include "orchestrator/base/exit_status.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace parallel_loader {

namespace {

// What a signal handler can reach.
std::atomic<Wakeup *> signalled{nullptr};
static_assert(std::atomic<Wakeup *>::is_always_lock_free);
std::atomic<bool> is_leaving{false};
constexpr unsigned kLeaveAfterS = 1;
constexpr int kSignals[] = {SIGHUP, SIGINT, SIGTERM};

// A terminal that closes hangs up twice, by the shell and by the kernel: nobody insists.
extern "C" void on_signal(int signal) {
  // Taken by the first signal; the second finds nothing to wake.
  Wakeup *wakeup = signalled.exchange(nullptr);
  if (wakeup != nullptr)
    wakeup->raise();
  else if (signal != SIGHUP && !is_leaving.exchange(true)) // more signals do not put it off
    alarm(kLeaveAfterS);
}

extern "C" void on_alarm(int) {
  // Off the line of the progress bar.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, "\n", 1);
  _exit(static_cast<int>(ExitStatus::kInterrupted));
}

void handle_with(int signal, void (*handler)(int)) noexcept {
  struct sigaction action {};
  // Under nohup it goes on.
  if (signal == SIGHUP && sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
    return;
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART; // every wait also polls the wakeup
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

} // namespace

Interrupt::Interrupt() {
  signalled = &wakeup_;
  handle_with(SIGALRM, on_alarm);
  for (const int signal : kSignals)
    handle_with(signal, on_signal);
}

Interrupt::~Interrupt() {
  for (const int signal : kSignals)
    handle_with(signal, SIG_DFL);
  signalled = nullptr;
}

} // namespace parallel_loader
