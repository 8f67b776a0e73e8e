#include "orchestrator/commands/resume.hpp"

#include "orchestrator/commands/pull_lookup.hpp"
#include "orchestrator/commands/run_session.hpp"
#include "orchestrator/run/destination_tables.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace parallel_loader {

namespace {

/// What a pull needs.
enum class Need {
  kNothing, // it is done
  kJoin,    // its coordinator lives: sessions join it
  kResume,  // its snapshot lives, or nothing of it is done
  kAnew,    // it never had a plan: nothing of it is to be resumed
  kChoice,  // its snapshot is lost, and a part of it is done
};

Need need_of(const PullView &pull) noexcept {
  if (pull.state == PullState::kDone)
    return Need::kNothing;
  if (!is_over(pull))
    return Need::kJoin;
  if (pull.chunks == 0)
    return Need::kAnew;
  return pull.coordinator_pid != 0 || pull.chunks_done == 0 ? Need::kResume : Need::kChoice;
}

class Resume {
public:
  explicit Resume(RunSession &session) : session_(session), options_(session.options()) {}

  void run();

private:
  void find_run();
  [[nodiscard]] std::vector<PullView> find_latest();
  void plan_work();
  void decide(size_t table);
  void resume(size_t table, bool takes_new_snapshot);
  void restart(size_t table);
  void begin_anew(size_t table);
  void add_creation(size_t table, const TableTask &task);
  void refuse(PullView &pull);
  void note_snapshots();

  RunSession &session_;
  const Options &options_;
  RunOrders orders_{.session_count = 0};
};

void Resume::run() {
  std::string source;
  if (options_.connections.source_on_destination)
    source = *options_.connections.source_on_destination;
  else if (!options_.connections.source.empty()) {
    const SourceTables reached = reach_source(options_, session_.waiter());
    session_.view().source = reached.server;
    source = source_for_destination(options_, reached);
  }
  session_.open_destination(std::move(source));
  find_run();
  plan_work();
  session_.carry_out(orders_);
  note_snapshots();
  std::vector<std::optional<TableTask>> tasks;
  for (const PullView &pull : session_.view().pulls)
    tasks.push_back(task_of(pull));
  session_.follow_up(tasks);
}

void Resume::find_run() {
  std::vector<PullView> pulls;
  if (options_.id.empty())
    pulls = find_latest();
  else
    pulls = find_pulls(session_.mover(), options_.id);
  session_.view().id = std::to_string(pulls.front().run_id);
  session_.view().pulls = std::move(pulls);
}

std::vector<PullView> Resume::find_latest() {
  std::vector<PullView> all = session_.mover().read_run(0);
  std::erase_if(all, [](const PullView &pull) { return pull.kind == "append"; });
  if (all.empty())
    throw Failure(ExitStatus::kFailed, Error("42704", "there is no pull to resume", "",
                                             "Begin one with parallel-loader copy."));
  const int64_t run_id = all.back().run_id;
  std::erase_if(all, [run_id](const PullView &pull) { return pull.run_id != run_id; });
  return all;
}

void Resume::plan_work() {
  for (size_t table = 0; table < session_.view().pulls.size(); ++table)
    decide(table);
  orders_.stops_on_error = options_.safety.on_error == OnError::kStop;
  if (orders_.joined_pull != 0)
    orders_.session_count = session_.jobs();
}

void Resume::decide(size_t table) {
  PullView &pull = session_.view().pulls[table];
  switch (need_of(pull)) {
  case Need::kNothing:
    return;
  case Need::kJoin:
    orders_.joined_pull = pull.pull_id;
    return;
  case Need::kResume:
    return resume(table, false);
  case Need::kAnew:
    return begin_anew(table);
  case Need::kChoice:
    if (options_.safety.takes_new_snapshot)
      return resume(table, true);
    if (options_.safety.restarts)
      return restart(table);
    return refuse(pull);
  }
}

void Resume::resume(size_t table, bool takes_new_snapshot) {
  PullView &pull = session_.view().pulls[table];
  pull.failure.reset();
  orders_.work.push_back(
      {.table = table,
       .step = [id = pull.pull_id, takes_new_snapshot](Mover &mover, const TakeNotice &take) {
         mover.resume(id, takes_new_snapshot, take);
         return id;
       }});
}

// What the table has may be the user's own, unless the pull found it empty.
void Resume::restart(size_t table) {
  PullView &pull = session_.view().pulls[table];
  if (pull.began_empty != true) {
    pull.failure = FailureView{
        .sqlstate = "55000",
        .message = fmt::format("table {} is not emptied: it had rows when pull {} began, or that "
                               "is not known",
                               pull.table, pull.id),
        .detail = {},
        .hint = "Remove the rows that are not to stay by yourself, and copy the table again.",
        .command = {}};
    return;
  }
  const TableTask task = task_of(pull).value();
  const DestinationTable name{.oid = 1, .name = task.table, .error = {}};
  truncate_tables(session_.mover().destination(), {&name, 1});
  add_creation(table, task);
}

// Whoever has loaded the table meanwhile is not to find its rows twice.
void Resume::begin_anew(size_t table) {
  PullView &pull = session_.view().pulls[table];
  const TableTask task = task_of(pull).value();
  std::vector<DestinationTable> found =
      find_tables(session_.mover().destination(), {&task.table, 1});
  if (found.front().oid != 0)
    find_rows(session_.mover().destination(), found);
  if (!found.front().has_rows || !pull.filter.empty())
    return add_creation(table, task);
  pull.failure = FailureView{
      .sqlstate = "55000",
      .message =
          fmt::format("table {} has rows, none of which are of pull {}", pull.table, pull.id),
      .detail = "The pull ended before it was planned.",
      .hint = "If the rows are those of another load, nothing is to be done. To load the table "
              "anew, empty it first.",
      .command = {}};
}

void Resume::add_creation(size_t table, const TableTask &task) {
  session_.view().pulls[table].failure.reset();
  orders_.work.push_back(
      {.table = table,
       .step = [task, jobs = session_.jobs()](Mover &mover, const TakeNotice &take) {
         return mover.create(task, {.run_id = 0, .workers = jobs}, take);
       }});
  orders_.session_count = session_.jobs();
}

void Resume::refuse(PullView &pull) {
  const bool has_ranges = pull.key != "ctid";
  const std::string restart = session_.command(fmt::format("resume {} --restart", pull.id));
  const std::string anew = session_.command(fmt::format("resume {} --new-snapshot", pull.id));
  pull.failure = FailureView{
      .sqlstate = "55000",
      .message = fmt::format("the snapshot of pull {} is lost, and {} of its {} chunks are done",
                             pull.id, pull.chunks_done, pull.chunks),
      .detail = pull.hold_ended,
      .hint = has_ranges ? fmt::format("To go on under a new snapshot, so that the table does not "
                                       "show one moment of the source: {}\nTo empty the table and "
                                       "load it again: {}",
                                       anew, restart)
                         : "Ranges of ctid mean nothing under another snapshot: empty the table "
                           "and load it again.",
      .command = has_ranges ? anew : restart};
}

void Resume::note_snapshots() {
  std::unordered_set<std::string> snapshots;
  for (const PullView &pull : session_.view().pulls)
    if (!pull.snapshot.empty())
      snapshots.insert(pull.snapshot);
  session_.view().has_several_snapshots = snapshots.size() > 1;
  if (snapshots.size() > 1)
    session_.warn(Error("01000", "the tables of this run do not show one moment of the source: "
                                 "some were read under a new snapshot"));
}

} // namespace

ExitStatus resume_run(const Options &options, const Terminal &terminal,
                      const Interrupt &interrupt) {
  RunSession session(options, terminal, interrupt);
  return session.run([&] { Resume(session).run(); });
}

} // namespace parallel_loader
