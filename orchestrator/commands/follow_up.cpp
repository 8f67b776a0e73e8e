#include "orchestrator/commands/follow_up.hpp"

#include "orchestrator/base/shell.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <utility>

namespace parallel_loader {

namespace {

using Tasks = std::vector<std::optional<TableTask>>;

bool is_loaded(const PullView &pull) noexcept {
  return pull.state == PullState::kDone;
}

void set_sequences(RunSession &session, const Tasks &tasks) {
  RunView &view = session.view();
  std::vector<QualifiedName> names;
  // Said, not taken for granted:
  const bool includes_parts = session.options().safety.sequences.has_value();
  for (size_t table = 0; table < tasks.size(); ++table)
    if (tasks[table] && is_loaded(view.pulls[table]) && (includes_parts || !tasks[table]->filter))
      names.push_back(tasks[table]->table);
  const auto take = [&session](std::string_view message, std::string_view hint) {
    session.warn(Error("01000", std::string(message), {}, std::string(hint)));
  };
  for (const QualifiedName &name : tables_with_sequences(session.mover().destination(), names)) {
    try {
      for (SequenceView &sequence : session.mover().set_sequences(name, take))
        view.sequences.push_back(std::move(sequence));
    } catch (const Failure &) {
      throw;
    } catch (const Error &error) {
      session.warn_incomplete(fmt::format("sequences of table {} were not set", name.cited()),
                              error, "sequences " + shell_word(name.display()));
    }
  }
}

VerifyView compare(Mover &mover, const TableTask &task, Verification mode) {
  VerifyView verify{.mode = mode, .matches = true};
  for (const VerifiedRange &range : mover.verify(task)) {
    const bool is_equal =
        mode == Verification::kCount ? range.source_rows == range.local_rows : range.matches;
    verify.source_rows += range.source_rows;
    verify.local_rows += range.local_rows;
    ++verify.range_count;
    verify.differing_count += is_equal ? 0 : 1;
  }
  verify.matches = verify.differing_count == 0;
  return verify;
}

void verify(RunSession &session, const Tasks &tasks) {
  std::vector<PullView> &pulls = session.view().pulls;
  std::vector<size_t> tables;
  for (size_t table = 0; table < tasks.size(); ++table)
    if (tasks[table] && is_loaded(pulls[table]))
      tables.push_back(table);
  std::vector<std::optional<Error>> errors(tasks.size());
  session.for_each_table(tables, [&](Mover &mover, size_t table) {
    TableTask task = *tasks[table];
    task.workers = tables.size() == 1 ? session.jobs() : 1; // sessions share the tables
    try {
      pulls[table].verify = compare(mover, task, session.options().safety.verify);
    } catch (const Failure &) {
      throw; // of a server
    } catch (const Error &error) {
      if (session.is_interrupted())
        throw;
      errors[table] = error;
    }
  });
  for (size_t table = 0; table < errors.size(); ++table)
    if (errors[table])
      session.warn_incomplete(fmt::format("table {} was not compared", tasks[table]->table.cited()),
                              *errors[table]);
}

} // namespace

void follow_up(RunSession &session, const std::vector<std::optional<TableTask>> &tasks) {
  session.take_source_of_ledger();
  if (session.options().safety.sequences.value_or(true))
    set_sequences(session, tasks);
  if (session.options().safety.verify != Verification::kNone)
    verify(session, tasks);
}

} // namespace parallel_loader
