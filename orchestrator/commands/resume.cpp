#include "orchestrator/commands/resume.hpp"

#include "orchestrator/commands/follow_up.hpp"
#include "orchestrator/commands/pull_lookup.hpp"
#include "orchestrator/commands/resume_work.hpp"
#include "orchestrator/run/run_figures.hpp"

namespace parallel_loader {

namespace {

/// Pulls of the run that was begun last.
std::vector<PullView> read_latest_run(Mover &mover) {
  std::vector<PullView> all = mover.read_run(0);
  std::erase_if(all, [](const PullView &pull) { return pull.kind == "append"; });
  if (all.empty())
    throw Failure(ExitStatus::kFailed, Error("42704", "there is no pull to resume", "",
                                             "Begin one with parallel-loader copy."));
  const int64_t run_id = all.back().run_id;
  std::erase_if(all, [run_id](const PullView &pull) { return pull.run_id != run_id; });
  return all;
}

void resume(RunSession &session) {
  const Options &options = session.options();
  session.open_destination(session.reach_source_if_named());
  session.note_time();
  RunView &view = session.view();
  view.pulls = options.id.empty() ? read_latest_run(session.mover())
                                  : find_pulls(session.mover(), options.id);
  view.id = std::to_string(view.pulls.front().run_id);
  if (options.id.empty() || options.id == view.id)
    session.note_incomplete_run(view.pulls.back().tables_to_come);
  follow_successors(session.mover(), view.pulls);
  RunOrders orders{.session_count = 0, .stops_on_error = options.safety.on_error == OnError::kStop};
  for (const PullView &pull : view.pulls)
    if (!is_over(pull) && std::to_string(pull.run_id) == view.id)
      session.join(pull.run_id);
  ResumeWork work(session, orders);
  for (size_t table = 0; table < view.pulls.size(); ++table)
    work.add(table);
  if (!work.is_to_stop())
    work.prepare();
  if (work.is_to_stop())
    return;
  session.carry_out(orders);
  std::vector<std::optional<TableTask>> tasks; // of whole tables, or of what a condition says
  for (const PullView &pull : view.pulls)
    tasks.push_back(pull.has_bounds ? std::nullopt : task_of(pull));
  follow_up(session, tasks);
}

} // namespace

ExitStatus resume_run(const Options &options, const Terminal &terminal,
                      const Interrupt &interrupt) {
  RunSession session(options, terminal, interrupt);
  return session.run([&] { resume(session); });
}

} // namespace parallel_loader
