// copy_command: `parallel-loader copy`, from the options to the exit status.
#pragma once

#include "orchestrator/exit_status.hpp"
#include "orchestrator/failure.hpp"
#include "orchestrator/interrupt.hpp"
#include "orchestrator/message.hpp"
#include "orchestrator/options.hpp"
#include "orchestrator/progress_display.hpp"
#include "orchestrator/pull_control.hpp"
#include "orchestrator/rate_window.hpp"
#include "orchestrator/run.hpp"
#include "orchestrator/session_pool.hpp"
#include "orchestrator/source.hpp"
#include "orchestrator/terminal.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace parallel_loader {

class CopyCommand {
public:
  CopyCommand(const CopyOptions &options, const Terminal &terminal, const Interrupt &interrupt);

  /// Loads the table and reports on it.  Every failure ends up in the report.
  [[nodiscard]] ExitStatus run();

private:
  using Clock = std::chrono::steady_clock;

  void load();
  void plan(PullControl &control, const SourceView &source);
  void tell_cut(const std::vector<CutName> &names) const;
  void move(PullControl &control, const ConnInfo &target);
  void follow(PullControl &control, SessionPool &pool, ProgressDisplay &display);
  void settle(PullControl &control);
  void tell_refusal(const Error &refusal);
  void refresh(PullControl &control);
  void take(const PullStatus &pull);
  [[nodiscard]] bool look_again();
  void end_without_ledger(ExitStatus status);
  [[nodiscard]] ExitStatus report(const std::optional<Failure> &failure) const;
  void note(const std::string &text) const;

  const CopyOptions &options_;
  const Terminal &terminal_;
  const Interrupt &interrupt_;
  MessageStyle style_;
  Clock::time_point started_at_ = Clock::now();
  Run run_;
  PullStatus pull_;
  RateWindow rate_;
};

} // namespace parallel_loader
