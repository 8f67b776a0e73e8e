// command_frame: what the commands beside copy and resume share: their servers, and how they end.
#pragma once

#include "orchestrator/base/failure.hpp"
#include "orchestrator/base/message.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/commands/source.hpp"
#include "orchestrator/display/terminal.hpp"
#include "orchestrator/report/command_json.hpp"
#include "orchestrator/run/extension_mover.hpp"
#include "orchestrator/run/interrupt.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace parallel_loader {

class CommandFrame {
public:
  CommandFrame(const Options &options, const Terminal &terminal, const Interrupt &interrupt);

  /// Runs `body`; what it throws has ended the command: see failure().
  void attempt(const std::function<void()> &body);
  [[nodiscard]] const std::optional<Failure> &failure() const noexcept { return failure_; }

  /// Connects to the destination; `source` is how that reaches the source, empty: not at all.
  /// Throws what ExtensionMover's constructor throws; says so when the servers are swapped.
  ExtensionMover &open_destination(std::string source);
  [[nodiscard]] ExtensionMover &mover() { return *mover_; }

  /// Finds the tables that are selected, and calls `work` for each, which fills its result, in
  /// their order; what is not there, and what `work` throws about a table, has its failure there.
  /// With --on-error stop nothing is done when a table is missing, and nothing after a failure.
  template <class Result>
  void
  for_each_table(std::vector<Result> &results,
                 const std::function<void(ExtensionMover &, const TableTask &, Result &)> &work);

  /// Writes what has come of it: the messages of failures, then `document` with --json, else
  /// `text`.  Returns `status`, or that of what has ended the command.
  [[nodiscard]] ExitStatus finish(ExitStatus status, const std::string &document,
                                  const std::string &text) const;
  /// For the documents.
  [[nodiscard]] CommandFailure document_failure() const;

  void warn(const Error &warning) const;
  /// `table TABLE: …`, as an error.
  void tell(const TableOf &table) const;
  /// A command for a shell that does `words` with the servers of this one.
  [[nodiscard]] std::string command(const std::string &words) const;

  [[nodiscard]] const Options &options() const noexcept { return options_; }
  [[nodiscard]] const Interrupt &interrupt() const noexcept { return interrupt_; }
  [[nodiscard]] InterruptibleWaiter &waiter() noexcept { return waiter_; }
  [[nodiscard]] bool is_quiet() const noexcept { return style_.verbosity == Verbosity::kQuiet; }
  [[nodiscard]] TakeNotice notices() const;

private:
  struct Job {
    TableOf table;
    std::optional<TableTask> task; // nullopt: it is not there
  };
  [[nodiscard]] std::vector<Job> open_and_select();

  const Options &options_;
  const Interrupt &interrupt_;
  MessageStyle style_;
  InterruptibleWaiter waiter_;
  std::optional<ExtensionMover> mover_;
  std::optional<Failure> failure_;
};

/// kFailed when one of the tables has failed, else `otherwise`.
template <class Result>
[[nodiscard]] ExitStatus status_of(const std::vector<Result> &results,
                                   ExitStatus otherwise = ExitStatus::kDone) {
  for (const Result &result : results)
    if (result.failure)
      return ExitStatus::kFailed;
  return otherwise;
}

template <class Result>
void CommandFrame::for_each_table(
    std::vector<Result> &results,
    const std::function<void(ExtensionMover &, const TableTask &, Result &)> &work) {
  const bool stops = options_.safety.on_error == OnError::kStop;
  const std::vector<Job> jobs = open_and_select();
  for (const Job &job : jobs)
    if (!job.task) {
      static_cast<TableOf &>(results.emplace_back()) = job.table;
      tell(results.back());
    }
  if (stops && !results.empty())
    return;
  for (const Job &job : jobs) {
    if (!job.task)
      continue;
    Result &result = results.emplace_back();
    static_cast<TableOf &>(result) = job.table;
    try {
      work(mover(), *job.task, result);
    } catch (const Failure &) { // of a server
      results.pop_back();
      throw;
    } catch (const Error &error) {
      if (interrupt_.is_raised()) {
        results.pop_back();
        throw;
      }
      result.failure = failure_view(error);
      tell(result);
      if (stops)
        return;
    }
  }
}

} // namespace parallel_loader
