#include "orchestrator/commands/change.hpp"

#include "orchestrator/base/text_table.hpp"
#include "orchestrator/commands/command_frame.hpp"
#include "orchestrator/commands/pull_lookup.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <functional>

namespace parallel_loader {

namespace {

/// What is done with a pull that has not ended, or whose snapshot is held; false: nothing is left
/// to do.
using Change = std::function<bool(Mover &, const PullView &)>;

struct Result {
  ChangedPull pull;
  std::string text;
};

Result change(Mover &mover, const PullView &pull, const Change &change, std::string_view done) {
  Result result{.pull = {.id = pull.id,
                         .source_table = pull.source_table,
                         .table = pull.table,
                         .is_changed = false,
                         .failure = {}},
                .text = {}};
  try {
    result.pull.is_changed = (!is_over(pull) || pull.coordinator_pid != 0) && change(mover, pull);
    result.text = result.pull.is_changed ? std::string(done)
                                         : "had ended: " + std::string(state_name(pull.state));
  } catch (const Failure &) {
    throw; // of a server
  } catch (const Error &error) {
    result.pull.failure = failure_view(error);
    result.text = "failed: " + error.message();
  }
  return result;
}

ExitStatus change_run(CommandFrame &frame, const Change &what, std::string_view done) {
  std::vector<ChangedPull> changed;
  std::vector<std::vector<std::string>> rows;
  frame.attempt([&] {
    ExtensionMover &mover = frame.open_destination("");
    for (const PullView &pull : find_pulls(mover, frame.options().id)) {
      const Result result = change(mover, pull, what, done);
      changed.push_back(result.pull);
      rows.push_back({pull.id, pull.table, result.text});
      if (result.pull.failure)
        frame.tell({.source_table = pull.source_table,
                    .table = pull.table,
                    .failure = result.pull.failure});
    }
  });
  return frame.finish(
      status_of(changed),
      change_document(command_name(frame.options().command), changed, frame.document_failure()),
      rows.empty() ? "" : text_table({{"pull", Align::kRight}, {"table"}, {"result"}}, rows));
}

} // namespace

ExitStatus cancel_run(const Options &options, const Terminal &terminal,
                      const Interrupt &interrupt) {
  CommandFrame frame(options, terminal, interrupt);
  return change_run(
      frame, [](Mover &mover, const PullView &pull) { return mover.cancel(pull.pull_id); },
      "cancelled");
}

ExitStatus alter_run(const Options &options, const Terminal &terminal, const Interrupt &interrupt) {
  CommandFrame frame(options, terminal, interrupt);
  const std::optional<int> workers =
      options.speed.is_paused ? std::optional(0) : options.speed.jobs;
  return change_run(
      frame,
      [&](Mover &mover, const PullView &pull) {
        if (is_over(pull))
          return false;
        mover.alter(pull.pull_id, workers, options.speed.max_rate_kb);
        return true;
      },
      options.speed.is_paused ? "paused" : "altered");
}

} // namespace parallel_loader
