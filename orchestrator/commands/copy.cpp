#include "orchestrator/commands/copy.hpp"

#include "core/ledger/found_pull.hpp"

#include "orchestrator/base/output.hpp"
#include "orchestrator/base/shell.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/commands/copy_words.hpp"
#include "orchestrator/commands/dry_run.hpp"
#include "orchestrator/commands/follow_up.hpp"
#include "orchestrator/commands/own_command.hpp"
#include "orchestrator/commands/pull_lookup.hpp"
#include "orchestrator/commands/resume.hpp"
#include "orchestrator/commands/resume_work.hpp"
#include "orchestrator/commands/run_session.hpp"
#include "orchestrator/report/run_report.hpp"
#include "orchestrator/run/destination_tables.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <unordered_map>

namespace parallel_loader {

namespace {

class Copy {
public:
  explicit Copy(RunSession &session) : session_(session), options_(session.options()) {
    orders_.stops_on_error = options_.safety.on_error == OnError::kStop;
  }

  void run();

private:
  void inspect();
  void tell_cut(const CutName &name);
  void add_missing(const SourceTables &source);
  void find_destinations();
  void accept(TableJob &&job, const DestinationTable &table);
  void refuse(const TableJob &job, const Error &error);
  void refuse_one_database();
  void take_pulls();
  void look_into_tables();
  void empty_tables();
  [[nodiscard]] bool may_load(size_t index);
  void refuse_with_rows(size_t index);
  [[nodiscard]] bool is_asked_for(size_t index, const std::vector<PullView> &pulls);
  void keep_loadable(const std::function<bool(size_t)> &is_loadable);
  [[nodiscard]] bool is_to_stop() const;
  void try_plans();
  void add_commands();
  [[nodiscard]] const RunOrders &orders();
  [[nodiscard]] std::string copy_command(const TableJob &job, bool truncates) const;

  RunSession &session_;
  const Options &options_;
  std::vector<TableJob> jobs_;           // accepted; the n-th is for …
  std::vector<size_t> places_;           // … this table of the view,
  std::vector<DestinationTable> tables_; // and goes there
  std::vector<CutName> told_;
  RunOrders orders_;
  std::optional<ResumeWork> resumed_; // of --resume
  std::vector<TableJob> selected_;    // not looked up on the destination yet
  int to_come_ = 0;                   // in that run, when its last pull was created
  bool is_one_database_ = false;      // source and destination are
};

namespace {

/// A plan has a list of columns, whether some were named or not.
bool has_same_columns(const TableTask &task, const PullView &pull) {
  if (!task.columns || !pull.columns)
    return !task.columns && (!pull.columns || pull.chunks > 0);
  std::vector<std::string> columns = *task.columns;
  std::vector<std::string> others = *pull.columns;
  std::ranges::sort(columns);
  std::ranges::sort(others);
  return columns == others;
}

} // namespace

void Copy::run() {
  inspect();
  find_destinations();
  if (is_to_stop())
    return;
  if (options_.safety.resume)
    take_pulls();
  look_into_tables();
  if (is_to_stop())
    return;
  if (options_.output.verbosity != Verbosity::kQuiet)
    for (const Error &warning : find_obstacles(session_.mover().destination(), tables_))
      session_.warn(warning);
  if (options_.safety.is_dry_run) {
    show_dry_run(session_, jobs_, places_);
    if (!options_.safety.truncates)
      return;
    keep_loadable([this](size_t index) { return !session_.view().pulls[places_[index]].failure; });
    return require_truncatable(session_.mover().destination(), tables_);
  }
  if (options_.safety.truncates)
    try_plans();
  if (resumed_)
    resumed_->prepare();
  if (is_to_stop())
    return;
  session_.tell_failures();
  if (options_.safety.truncates)
    empty_tables();
  if (is_to_stop())
    return;
  session_.carry_out(orders());
  add_commands();
  std::vector<std::optional<TableTask>> tasks(session_.view().pulls.size());
  for (size_t index = 0; index < jobs_.size(); ++index)
    tasks[places_[index]] = jobs_[index].task;
  follow_up(session_, tasks);
}

void Copy::inspect() {
  SourceTables source = inspect_source(options_, session_.waiter());
  session_.view().source = source.server;
  session_.note("source: " + source.server.address);
  for (const CutName &name : source.cut_names)
    tell_cut(name);
  add_missing(source);
  session_.open_destination(source_for_destination(options_, source));
  session_.note_time();
  is_one_database_ = session_.mover().destination().identity() == source.identity;
  if (is_one_database_ && options_.safety.truncates)
    refuse_one_database();
  selected_ = std::move(source.jobs);
}

// What is emptied may be a part of what is to be read: a partition, or a table of a view.
void Copy::refuse_one_database() {
  throw Failure(ExitStatus::kUsage,
                Error("",
                      "tables are not emptied where source and destination are the same database",
                      "", "Empty them by yourself, and copy without --truncate."));
}

// A name of both servers is told once.
void Copy::tell_cut(const CutName &name) {
  if (name.given == name.cut || std::ranges::find(told_, name) != told_.end())
    return;
  told_.push_back(name);
  session_.warn(Error(
      "42622", fmt::format("identifier \"{}\" will be truncated to \"{}\"", name.given, name.cut)));
}

void Copy::add_missing(const SourceTables &source) {
  for (const MissingTable &missing : source.missing) {
    PullView &pull = session_.view().pulls.emplace_back();
    pull.source_table = missing.name;
    pull.state = PullState::kFailed;
    pull.failure = failure_view(missing.error);
    if (!missing.is_pattern)
      pull.failure->command = copy_of_missing(options_, missing.name);
  }
}

// Two names may stand for one table.
void Copy::find_destinations() {
  std::vector<QualifiedName> names;
  for (const TableJob &job : selected_)
    names.push_back(job.task.table);
  const std::vector<DestinationTable> found = find_tables(session_.mover().destination(), names);
  std::unordered_map<uint32_t, size_t> seen;
  for (size_t index = 0; index < selected_.size(); ++index) {
    const DestinationTable &table = found[index];
    const TableJob &job = selected_[index];
    if (table.error)
      refuse(job, *table.error);
    else if (table.oid == 0)
      refuse(job, Error(sqlstate::kUndefinedTable,
                        fmt::format("table {} does not exist on the destination",
                                    job.task.table.cited()),
                        "", "Create it first, for example with pg_dump --schema-only --table."));
    else if (!table.is_table)
      refuse(job,
             Error("42809", fmt::format("{} of the destination is not a table", table.name.cited()),
                   "", "Rows go into ordinary and partitioned tables."));
    else if (is_one_database_ && table.oid == job.source_oid)
      refuse(job, Error(sqlstate::kInvalidParameterValue,
                        fmt::format("table {} of the source is the destination table itself",
                                    table.name.cited()),
                        "Source and destination are the same database.",
                        "Give another --source or --target, or another table: "
                        "TABLE=TARGET_TABLE."));
    else if (!seen.emplace(table.oid, index).second)
      refuse(job, Error("42P07",
                        fmt::format("another table of this copy goes into table {}, too",
                                    table.name.cited()),
                        "",
                        "Give one of them another name on the destination: "
                        "TABLE=TARGET_TABLE."));
    else
      accept(std::move(selected_[index]), table);
  }
  selected_.clear();
}

void Copy::accept(TableJob &&job, const DestinationTable &table) {
  PullView &pull = session_.view().pulls.emplace_back();
  pull.source_table = job.task.source_table.display();
  pull.table = table.name.display();
  tell_cut({.given = job.task.table.name, .cut = table.name.name});
  pull.estimated_bytes = job.bytes;
  pull.filter = job.task.filter.value_or("");
  pull.is_partial = job.task.filter || job.task.columns;
  places_.push_back(session_.view().pulls.size() - 1);
  job.task.table = table.name;
  jobs_.push_back(std::move(job));
  tables_.push_back(table);
}

void Copy::refuse(const TableJob &job, const Error &error) {
  PullView &pull = session_.view().pulls.emplace_back();
  pull.source_table = job.task.source_table.display();
  pull.table = job.task.table.display();
  pull.state = PullState::kFailed;
  pull.failure = failure_view(error);
  pull.failure->command = copy_command(job, options_.safety.truncates);
}

// Of the run of --resume.  A table that has a pull goes on with that.
void Copy::take_pulls() {
  std::vector<PullView> pulls = find_pulls(session_.mover(), *options_.safety.resume);
  const int64_t run_id = pulls.front().run_id;
  session_.continue_run(run_id);
  to_come_ = pulls.back().tables_to_come;
  follow_successors(session_.mover(), pulls);
  std::unordered_map<std::string, std::vector<PullView>> by_table;
  for (PullView &pull : pulls)
    by_table[pull.table].push_back(std::move(pull));
  orders_.session_count = 0;
  keep_loadable([&](size_t index) {
    const auto found = by_table.find(session_.view().pulls[places_[index]].table);
    return found == by_table.end() || is_asked_for(index, found->second);
  });
  std::vector<size_t> resumed;
  for (size_t index = 0; index < jobs_.size(); ++index) {
    const size_t place = places_[index];
    PullView &pull = session_.view().pulls[place];
    const auto found = by_table.find(pull.table);
    if (found == by_table.end())
      continue;
    const bool is_partial = pull.is_partial;
    pull = std::move(found->second.front());
    pull.is_partial = pull.is_partial || is_partial;
    resumed.push_back(place);
    if (!is_over(pull) && pull.run_id == run_id)
      session_.join(run_id);
  }
  if (!resumed.empty())
    session_.view().id = std::to_string(run_id);
  resumed_.emplace(session_, orders_);
  for (const size_t place : resumed)
    resumed_->add(place);
}

// A pull of the run that is not for the rows that this command names is left alone.
bool Copy::is_asked_for(size_t index, const std::vector<PullView> &pulls) {
  PullView &view = session_.view().pulls[places_[index]];
  const TableTask &task = jobs_[index].task;
  const PullView &pull = pulls.front();
  const QualifiedName from = parse_qualified_name(pull.source_table);
  const bool is_same = from.name == task.source_table.name &&
                       (from.schema.empty() || from.schema == task.source_table.schema) &&
                       pull.filter == task.filter.value_or("") && has_same_columns(task, pull);
  if (pulls.size() == 1 && is_same)
    return true;
  view.state = PullState::kFailed;
  view.failure = FailureView{
      .sqlstate = "55000",
      .message = pulls.size() > 1
                     ? fmt::format("run {} has several pulls of table {}", pull.run_id, view.table)
                     : fmt::format("pull {} is not for the rows of table {} that are named here",
                                   pull.id, view.table),
      .detail = pulls.size() > 1 ? ""
                                 : fmt::format("It reads {}{}.", pull.source_table,
                                               pull.filter.empty() ? "" : " where " + pull.filter),
      .hint = "Resume it without naming the table.",
      .command = session_.command(
          fmt::format("resume {}", pulls.size() > 1 ? pull.run_id : pull.pull_id))};
  return false;
}

// What others have loaded meanwhile stays.
void Copy::empty_tables() {
  while (!tables_.empty() && !is_to_stop() &&
         !truncate_tables(session_.mover().destination(), tables_, session_.looked_at()))
    keep_loadable([this](size_t index) { return may_load(index); });
}

void Copy::look_into_tables() {
  const auto is_new = [this](size_t place) { return session_.view().pulls[place].pull_id == 0; };
  if (std::ranges::any_of(places_, is_new))
    session_.require_rights();
  Destination &destination = session_.mover().destination();
  find_loaders(destination, tables_);
  if (!options_.safety.truncates)
    find_rows(destination, tables_);
  keep_loadable([this](size_t index) { return may_load(index); });
}

void Copy::keep_loadable(const std::function<bool(size_t)> &is_loadable) {
  size_t kept = 0;
  for (size_t index = 0; index < jobs_.size(); ++index) {
    if (!is_loadable(index))
      continue;
    if (kept != index) {
      jobs_[kept] = std::move(jobs_[index]);
      places_[kept] = places_[index];
      tables_[kept] = std::move(tables_[index]);
    }
    ++kept;
  }
  jobs_.resize(kept);
  places_.resize(kept);
  tables_.resize(kept);
}

bool Copy::may_load(size_t index) {
  PullView &pull = session_.view().pulls[places_[index]];
  const DestinationTable &table = tables_[index];
  const bool is_whole = jobs_[index].is_whole;
  if (pull.pull_id != 0)
    return true;
  if (table.loader != 0 && (is_whole || options_.safety.truncates)) {
    pull.state = PullState::kFailed;
    pull.failure = failure_view(loading_error(table.name, table.loader));
    const bool is_ours = !session_.mover().read_pulls({&table.loader, 1}).empty();
    pull.failure->command = is_ours ? session_.command(fmt::format("resume {}", table.loader)) : "";
    return false;
  }
  if (table.has_rows && is_whole) {
    refuse_with_rows(index);
    return false;
  }
  if (table.may_have_rows && is_whole) {
    pull.state = PullState::kFailed;
    pull.failure = failure_view(unseen_rows_error(session_.mover().destination(), table));
    pull.failure->command = copy_command(jobs_[index], false);
    return false;
  }
  if (table.has_rows)
    session_.warn(
        Error("01000", fmt::format("table {} has rows already, which stay", table.name.cited())));
  return true;
}

void Copy::refuse_with_rows(size_t index) {
  PullView &pull = session_.view().pulls[places_[index]];
  pull.state = PullState::kFailed;
  pull.failure = failure_view(
      Error("55000", fmt::format("table {} has rows already", tables_[index].name.cited()), "",
            "To load all of it anew, empty it with --truncate. To add a part of the source's "
            "rows, name that with --start, --end or --where."));
  if (const std::string command = copy_command(jobs_[index], true); !command.empty())
    pull.failure->hint += "\nTo empty it and load all of it anew: " + command;
}

bool Copy::is_to_stop() const {
  const auto has_failed = [](const PullView &pull) { return pull.failure.has_value(); };
  return jobs_.empty() || (options_.safety.on_error == OnError::kStop &&
                           std::ranges::any_of(session_.view().pulls, has_failed));
}

// What cannot be loaded is not emptied.
void Copy::try_plans() {
  std::vector<TableTask> tasks;
  for (const TableJob &job : jobs_)
    tasks.push_back(job.task);
  session_.try_plans(tasks, places_);
  keep_loadable([this](size_t index) {
    PullView &pull = session_.view().pulls[places_[index]];
    if (pull.failure)
      pull.failure->command = copy_command(jobs_[index], options_.safety.truncates);
    return !pull.failure;
  });
}

// Of tables that no pull was made of: there is nothing to be resumed.  For those that were not
// begun there is one command.  What was to be emptied has been.
void Copy::add_commands() {
  const std::string &run_id = session_.view().id;
  for (size_t index = 0; index < jobs_.size(); ++index) {
    PullView &pull = session_.view().pulls[places_[index]];
    if (pull.pull_id == 0 && pull.failure && !is_unbegun(pull))
      pull.failure->command =
          run_id.empty() ? copy_command(jobs_[index], false)
                         : session_.command(copy_words(jobs_[index].task) + " --resume " + run_id);
  }
}

// No command with --snapshot: the snapshot may be gone by then.
std::string Copy::copy_command(const TableJob &job, bool truncates) const {
  if (job.task.snapshot)
    return "";
  return session_.command(copy_words(job.task) + (truncates ? " --truncate" : ""));
}

// The biggest first, so that the last one does not move alone.
const RunOrders &Copy::orders() {
  std::vector<size_t> order;
  for (size_t index = 0; index < jobs_.size(); ++index)
    if (session_.view().pulls[places_[index]].pull_id == 0)
      order.push_back(index);
  std::ranges::stable_sort(order,
                           [&](size_t a, size_t b) { return jobs_[a].bytes > jobs_[b].bytes; });
  if (!order.empty())
    orders_.session_count = session_.jobs();
  // Of a run that is not complete, those that this command does not name.
  session_.leave_to_come(std::max(0, to_come_ - static_cast<int>(order.size())));
  std::vector<TableWork> creations; // before resumes, which take their time
  creations.reserve(order.size());
  for (const size_t index : order)
    creations.push_back({.table = places_[index],
                         .step = session_.creation(jobs_[index].task, jobs_[index].is_whole)});
  orders_.work.insert(orders_.work.begin(), creations.begin(), creations.end());
  return orders_;
}

} // namespace

ExitStatus copy_tables(const Options &options, const Terminal &terminal,
                       const Interrupt &interrupt) {
  if (options.safety.resume && !selects_tables(options.selection)) {
    Options resume = options;
    resume.id = *options.safety.resume;
    return resume_run(resume, terminal, interrupt);
  }
  RunSession session(options, terminal, interrupt);
  return session.run([&] { Copy(session).run(); });
}

} // namespace parallel_loader
