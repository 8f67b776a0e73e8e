// copy_command: `parallel-loader copy`, from the options to the exit status.
#pragma once

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/base/failure.hpp"
#include "orchestrator/base/message.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/commands/source.hpp"
#include "orchestrator/display/progress_display.hpp"
#include "orchestrator/display/rate_window.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/run/interrupt.hpp"
#include "orchestrator/run/pull_control.hpp"
#include "orchestrator/run/run.hpp"
#include "orchestrator/run/session_pool.hpp"
#include "orchestrator/tables/table_argument.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace parallel_loader {

class CopyCommand {
public:
  /// Throws Failure kUsage when it is more than one table.
  CopyCommand(const Options &options, const Terminal &terminal, const Interrupt &interrupt);

  /// Loads the table and reports on it.  Every failure ends up in the report.
  [[nodiscard]] ExitStatus run();

private:
  using Clock = std::chrono::steady_clock;

  void load();
  void plan(PullControl &control, const SourceView &source);
  void tell_cut(const std::vector<CutName> &names) const;
  void move(PullControl &control, const ConnInfo &destination);
  void follow(PullControl &control, SessionPool &pool, ProgressDisplay &display);
  void settle(PullControl &control);
  void tell_refusal(const Error &refusal);
  void refresh(PullControl &control);
  void take(const PullStatus &pull);
  [[nodiscard]] bool look_again();
  void end_without_ledger(ExitStatus status);
  [[nodiscard]] ExitStatus report(const std::optional<Failure> &failure) const;
  void note(const std::string &text) const;

  const Options &options_;
  TableArgument table_;
  const Terminal &terminal_;
  const Interrupt &interrupt_;
  MessageStyle style_;
  Clock::time_point started_at_ = Clock::now();
  Run run_;
  PullStatus pull_;
  RateWindow rate_;
};

} // namespace parallel_loader
