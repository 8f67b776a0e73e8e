#include "orchestrator/commands/resume_work.hpp"

#include "core/ledger/found_pull.hpp"

#include "orchestrator/base/shell.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/commands/copy_words.hpp"
#include "orchestrator/run/destination_tables.hpp"
#include "orchestrator/run/pull_need.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <span>
#include <utility>

namespace parallel_loader {

namespace {

constexpr const char *kLoadedMeanwhile =
    "If the table was loaded meanwhile, nothing is to be done. Else copy it again: empty, or with "
    "--start, --end or --where.";

std::string with_source(const PullView &pull, bool restarts) {
  return restarts
             ? restart_words(pull, pull.id)
             : fmt::format("resume {} --source-on-target {}", pull.id, shell_word(pull.source));
}

/// The other pulls into tables of those that are to be resumed.
std::vector<PullView> read_others(ExtensionMover &mover, const std::vector<PullView> &pulls) {
  std::vector<uint32_t> tables;
  std::vector<int64_t> known;
  for (const PullView &pull : pulls) {
    known.push_back(pull.pull_id);
    if (is_over(pull) && pull.state != PullState::kDone)
      tables.push_back(pull.table_oid);
  }
  if (tables.empty())
    return {};
  const std::vector<int64_t> ids = find_other_pulls(mover.destination(), tables, known);
  std::vector<PullView> others;
  for (std::span<const int64_t> left = ids; !left.empty();
       left = left.subspan(std::min(kPullsAtOnce, left.size())))
    std::ranges::move(mover.read_pulls(left.first(std::min(kPullsAtOnce, left.size()))),
                      std::back_inserter(others));
  return others;
}

} // namespace

void follow_successors(ExtensionMover &mover, std::vector<PullView> &pulls) {
  const std::vector<PullView> others = read_others(mover, pulls);
  PullList all;
  std::map<int64_t, const PullView *> by_id;
  for (const PullView &pull : pulls)
    by_id[pull.pull_id] = &pull;
  for (const PullView &pull : others)
    by_id[pull.pull_id] = &pull;
  for (const auto &[id, pull] : by_id)
    all.push_back(pull);
  const OtherPulls successors = find_successors(all);
  if (successors.empty())
    return;
  std::vector<PullView> followed;
  std::set<int64_t> taken;
  for (const PullView &pull : pulls)
    if (!successors.contains(pull.pull_id))
      taken.insert(pull.pull_id);
  for (const PullView &pull : pulls) {
    const auto found = successors.find(pull.pull_id);
    if (found == successors.end())
      followed.push_back(pull);
    else if (taken.insert(found->second).second)
      followed.push_back(*by_id.at(found->second));
  }
  pulls = std::move(followed);
}

void ResumeWork::add(size_t table) {
  PullView &pull = session_.view().pulls[table];
  const PullNeed need = need_of(pull);
  if (need != PullNeed::kNothing && std::to_string(pull.run_id) != session_.view().id)
    return leave_to_its_run(pull);
  const bool creates = need == PullNeed::kAnew ||
                       (need == PullNeed::kRenew && session_.joined_run() != 0) ||
                       (need == PullNeed::kChoice && options_.safety.restarts);
  if (creates && !may_create(pull))
    return;
  if (need != PullNeed::kNothing && need != PullNeed::kJoin && has_rows_of_others(pull))
    return;
  switch (need) {
  case PullNeed::kNothing:
    return;
  case PullNeed::kJoin:
    orders_.joined_pull = pull.pull_id;
    orders_.session_count = session_.jobs();
    return;
  case PullNeed::kResume:
    return resume(table, false);
  case PullNeed::kRenew:
    return session_.joined_run() != 0 ? add_creation(table, task_of(pull).value())
                                      : resume(table, true);
  case PullNeed::kAnew:
    return add_creation(table, task_of(pull).value());
  case PullNeed::kChoice:
    if (options_.safety.takes_new_snapshot)
      return resume(table, true);
    if (options_.safety.restarts)
      return restart(table);
    return refuse(pull);
  }
}

void ResumeWork::resume(size_t table, bool takes_new_snapshot) {
  PullView &pull = session_.view().pulls[table];
  pull.failure.reset();
  if (takes_new_snapshot && (pull.chunks_done > 0 || shares_run(pull)))
    session_.note_new_snapshot(table);
  orders_.work.push_back(
      {.table = table,
       .step = [id = pull.pull_id, takes_new_snapshot,
                rate = options_.speed.max_rate_kb](Mover &mover, const TakeNotice &take) {
         if (rate)
           mover.alter(id, std::nullopt, rate);
         mover.resume(id, takes_new_snapshot, take);
         return id;
       }});
}

// With a table that may not be resumed now.
bool ResumeWork::shares_run(const PullView &pull) {
  if (!shares_run_)
    shares_run_ = session_.mover().read_run(pull.run_id).size() > 1;
  return *shares_run_;
}

// The ledger knows where a pull reads, and between which bounds; whoever creates one must say it.
bool ResumeWork::may_create(PullView &pull) {
  const bool has_source =
      !options_.connections.source.empty() || options_.connections.source_on_destination;
  if (has_source && !pull.has_bounds)
    return true;
  pull.failure = FailureView{
      .sqlstate = has_source ? "0A000" : "08001",
      .message = fmt::format("pull {} is to be begun anew, {}", pull.id,
                             has_source ? "but only parallel_pull takes its bounds"
                                        : "and the source is not given"),
      .detail = {},
      .hint = has_source ? "Call that again, with the same bounds." : "Give --source.",
      .command = has_source ? "" : session_.command(with_source(pull, options_.safety.restarts))};
  return false;
}

// What the table has may be the user's own, unless the pull found it empty, or another pull's.
void ResumeWork::restart(size_t table) {
  PullView &pull = session_.view().pulls[table];
  std::string reason;
  if (pull.began_empty != true)
    reason = fmt::format("it had rows when pull {} began, or that is not known", pull.id);
  else if (const int64_t other = find_other_loader(session_.mover().destination(), pull.pull_id))
    reason = fmt::format("pull {} has loaded rows, too", other);
  if (!reason.empty()) {
    pull.failure = FailureView{
        .sqlstate = "55000",
        .message = fmt::format("table {} is not emptied: {}", pull.table, reason),
        .detail = {},
        .hint = "Remove the rows that are not to stay by yourself, and copy the table again.",
        .command = {}};
    return;
  }
  pull.failure.reset();
  to_restart_.push_back(table);
}

bool ResumeWork::is_to_stop() const {
  return orders_.stops_on_error &&
         std::ranges::any_of(
             session_.view().pulls, [](const PullView &pull) { return pull.failure.has_value(); });
}

void ResumeWork::prepare() {
  look_at_done_tables();
  if (!to_restart_.empty() && !is_to_stop())
    empty_tables();
  if (orders_.joined_pull != 0 && options_.speed.max_rate_kb)
    session_.mover().alter(orders_.joined_pull, std::nullopt, options_.speed.max_rate_kb);
}

// The ledger does not see a TRUNCATE, nor a crash that has emptied an unlogged table.
void ResumeWork::look_at_done_tables() {
  std::vector<PullView> &pulls = session_.view().pulls;
  std::vector<size_t> places;
  std::vector<TableTask> tasks;
  std::vector<QualifiedName> names;
  for (size_t table = 0; table < pulls.size(); ++table) {
    const PullView &pull = pulls[table];
    const std::optional<TableTask> task = task_of(pull);
    if (pull.state != PullState::kDone || pull.rows == 0 || pull.kind == "append" || !task)
      continue;
    places.push_back(table);
    tasks.push_back(*task);
    names.push_back(task->table);
  }
  if (names.empty())
    return;
  std::vector<DestinationTable> found = find_tables(session_.mover().destination(), names);
  find_blocks(session_.mover().destination(), found);
  for (size_t number = 0; number < found.size(); ++number) {
    PullView &pull = pulls[places[number]];
    if (found[number].oid != pull.table_oid)
      note_gone(pull);
    else if (!found[number].has_blocks)
      note_emptied(pull, tasks[number]);
  }
  look_for_later_rows(places);
}

// One that found the table empty, and is not done, or was for other rows.
void ResumeWork::look_for_later_rows(const std::vector<size_t> &places) {
  std::vector<PullView> &pulls = session_.view().pulls;
  std::vector<int64_t> ids;
  ids.reserve(places.size());
  for (const size_t place : places)
    ids.push_back(pulls[place].pull_id);
  const std::map<int64_t, int64_t> later = find_later_on_empty(session_.mover().destination(), ids);
  for (const size_t place : places) {
    PullView &pull = pulls[place];
    const auto found = later.find(pull.pull_id);
    if (found == later.end() || pull.state != PullState::kDone)
      continue;
    const std::vector<PullView> others = session_.mover().read_pulls({&found->second, 1});
    if (others.empty() || others.front().state != PullState::kDone ||
        !has_same_rows(pull, others.front()))
      note_replaced(pull, found->second);
  }
}

void ResumeWork::note_replaced(PullView &pull, int64_t other) {
  pull.failure = FailureView{
      .sqlstate = "55000",
      .message = fmt::format("table {}, into which pull {} had copied {}, was empty when pull {} "
                             "began",
                             pull.table, pull.id, format_number_of(pull.rows, "row"), other),
      .detail = "The table was emptied in between.",
      .hint = fmt::format("See what has come of pull {}.", other),
      .command = {}};
  pull.state = PullState::kFailed;
  pull.rows = pull.bytes = 0;
}

void ResumeWork::note_gone(PullView &pull) {
  pull.failure = FailureView{
      .sqlstate = "55000",
      .message = fmt::format("table {}, into which pull {} had copied {}, is no longer there",
                             pull.table, pull.id, format_number_of(pull.rows, "row")),
      .detail = "It was dropped since then, or another table has got its name.",
      .hint = "Copy it again, if it is to be there.",
      .command = {}};
  pull.state = PullState::kFailed;
  pull.rows = pull.bytes = 0;
}

void ResumeWork::note_emptied(PullView &pull, const TableTask &task) {
  pull.failure =
      FailureView{.sqlstate = "55000",
                  .message = fmt::format("table {} has no rows, and pull {} had copied {} into it",
                                         pull.table, pull.id, format_count(pull.rows)),
                  .detail = "It was emptied since then, or is unlogged and the server has crashed.",
                  .hint = {},
                  .command = pull.has_bounds ? "" : session_.command(copy_words(task))};
  pull.state = PullState::kFailed;
  pull.rows = pull.bytes = 0;
}

void ResumeWork::empty_tables() {
  std::vector<PullView> &pulls = session_.view().pulls;
  std::vector<TableTask> tasks;
  for (const size_t table : to_restart_) {
    tasks.push_back(task_of(pulls[table]).value());
    tasks.back().same_source_as = pulls[table].pull_id;
  }
  session_.require_rights();
  session_.try_plans(tasks, to_restart_);
  std::erase_if(to_restart_, [&](size_t table) { return pulls[table].failure.has_value(); });
  if (to_restart_.empty() || is_to_stop())
    return;
  std::vector<QualifiedName> names;
  for (const size_t table : to_restart_)
    names.push_back(task_of(pulls[table]).value().table);
  std::vector<DestinationTable> tables = find_tables(session_.mover().destination(), names);
  if (!truncate_tables(session_.mover().destination(), tables, session_.looked_at())) {
    const auto loaded = std::ranges::find_if(
        tables, [](const DestinationTable &table) { return table.loader != 0; });
    throw loading_error(loaded->name, loaded->loader);
  }
  for (const size_t table : to_restart_) {
    if (shares_run(pulls[table]))
      session_.note_new_snapshot(table);
    add_creation(table, task_of(pulls[table]).value());
  }
}

// Whoever has loaded the table meanwhile is not to find its rows twice.
bool ResumeWork::has_rows_of_others(PullView &pull) {
  const std::optional<TableTask> task = task_of(pull);
  if (!task)
    return false; // the table is gone
  if (pull.chunks_done > 0)
    return has_later_loader(pull);
  Destination &destination = session_.mover().destination();
  std::vector<DestinationTable> found = find_tables(destination, {&task->table, 1});
  if (found.front().oid != 0)
    find_rows(destination, found);
  if (!found.front().has_rows && !found.front().may_have_rows)
    return false;
  if (has_later_loader(pull))
    return true;
  const bool was_planned = pull.chunks > 0;
  const bool was_to_be_alone = pull.began_empty == true && pull.filter.empty() && !pull.has_bounds;
  if (was_planned && !was_to_be_alone)
    return false;
  if (found.front().may_have_rows) {
    pull.failure = failure_view(unseen_rows_error(destination, found.front()));
    return true;
  }
  pull.failure =
      FailureView{.sqlstate = "55000",
                  .message = fmt::format("table {} has rows, none of which are of pull {}",
                                         pull.table, pull.id),
                  .detail = was_planned ? "The table was empty when the pull began."
                                        : "The pull ended before it was planned.",
                  .hint = kLoadedMeanwhile,
                  .command = {}};
  return true;
}

// They could be the same, or have taken the place of those that are done.
bool ResumeWork::has_later_loader(PullView &pull) {
  Destination &destination = session_.mover().destination();
  if (!loaders_since_) {
    std::vector<int64_t> ids;
    for (const PullView &one : session_.view().pulls)
      if (one.pull_id != 0 && one.state != PullState::kDone)
        ids.push_back(one.pull_id);
    loaders_since_ = find_loaders_since(destination, ids);
  }
  const auto found = loaders_since_->find(pull.pull_id);
  if (found == loaders_since_->end())
    return false;
  std::string hint = kLoadedMeanwhile;
  if (pull.chunks > 0 && pull.chunks_done == 0)
    hint = fmt::format("If they are the rows of pull {0}, nothing is to be done. If they are "
                       "others, run on the destination: SELECT {1}.parallel_pull_resume({0});",
                       pull.id, destination.schema());
  pull.failure = FailureView{
      .sqlstate = "55000",
      .message = fmt::format("pull {} has loaded rows into table {} since pull {} ended",
                             found->second, pull.table, pull.id),
      .detail = pull.chunks_done > 0 ? "The table was empty when that began." : "",
      .hint = std::move(hint),
      .command = {}};
  return true;
}

// Before resumes, which take their time: the run may have ended then.
void ResumeWork::add_creation(size_t table, TableTask task) {
  session_.view().pulls[table].failure.reset();
  task.workers = session_.jobs();
  orders_.work.insert(orders_.work.begin(),
                      {.table = table, .step = session_.creation(task, true)});
  orders_.session_count = session_.jobs();
}

// It has taken the place of a pull of the run that is resumed.
void ResumeWork::leave_to_its_run(PullView &pull) {
  pull.failure = FailureView{
      .sqlstate = "55000",
      .message = fmt::format("pull {} has taken the place of a pull of this run, and is not done",
                             pull.pull_id),
      .detail = {},
      .hint = {},
      .command = session_.command("resume " + pull.id)};
}

// The number of a run is that of its first pull: what empties tables is to name just one.
std::string ResumeWork::restart_command(const PullView &pull) {
  if (pull.began_empty != true || pull.has_bounds)
    return "";
  if (pull.pull_id != pull.run_id || !shares_run(pull))
    return session_.command(fmt::format("resume {} --restart", pull.id));
  const std::optional<TableTask> task = task_of(pull);
  return task && !options_.connections.source.empty()
             ? session_.command(copy_words(*task) +
                                fmt::format(" --resume {} --restart", pull.run_id))
             : "";
}

void ResumeWork::refuse(PullView &pull) {
  const bool has_ranges = has_key_ranges(pull);
  const std::string restart = restart_command(pull);
  const std::string anew =
      has_ranges ? session_.command(fmt::format("resume {} --new-snapshot", pull.id)) : "";
  std::string hint = has_ranges ? "To go on under a new snapshot, so that the table does not show "
                                  "one moment of the source: " +
                                      anew
                                : "Ranges of ctid mean nothing under another snapshot: empty the "
                                  "table and load it again.";
  if (has_ranges && !restart.empty())
    hint += "\nTo empty the table and load it again: " + restart;
  pull.failure = FailureView{
      .sqlstate = "55000",
      .message = fmt::format("the snapshot of pull {} is lost, and {} of its {} chunks are done",
                             pull.id, pull.chunks_done, pull.chunks),
      .detail = pull.hold_ended,
      .hint = std::move(hint),
      .command = has_ranges ? anew : restart};
  pull.next_command = pull.failure->command;
}

} // namespace parallel_loader
