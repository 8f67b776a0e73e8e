#include "extension/worker/append.hpp"

#include "core/base/quote.hpp"
#include "core/connection/server_info.hpp"
#include "core/ledger/append_ledger.hpp"
#include "core/ledger/local_relations.hpp"
#include "core/ledger/pull_state.hpp"
#include "core/source/durable_source.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/ledger/pull_refusal.hpp"
#include "extension/server/load/local_relations.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/sql/destination_table.hpp"
#include "extension/server/sql/spi.hpp"
#include "extension/worker/compared_rows.hpp"
#include "extension/worker/route.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/acl.h"
}

namespace parallel_loader {

namespace {

constexpr std::string_view kNumeric = "\"pg_catalog\".\"numeric\"";

// What is taken off a key of this type.
std::string window_type(const std::string &key_type) {
  for (const std::string_view name : {"int8", "numeric"})
    if (key_type == quote_builtin_type(name))
      return std::string(kNumeric);
  for (const std::string_view name : {"date", "timestamp", "timestamptz"})
    if (key_type == quote_builtin_type(name))
      return quote_builtin_type("interval");
  throw Error(sqlstate::kFeatureNotSupported,
              "a window cannot be applied to a key of type " + key_type, "",
              "Windows are for integer, numeric, date and timestamp keys.");
}

void require_not_negative(Executor &source, const std::string &window, const std::string &type) {
  const std::string value = quote_literal(window) + "::" + type;
  const Rows row = source.exec("SELECT " + value + " < '0'::" + type + ", " +
                               (type == kNumeric ? value + " = 'NaN'::" + type : "false"));
  if (row.boolean(0, 1))
    throw Error(sqlstate::kInvalidParameterValue, "window \"" + window + "\" is not a number");
  if (row.boolean(0, 0))
    throw Error(sqlstate::kInvalidParameterValue, "window \"" + window + "\" is negative");
}

/// Runs as the caller, under the caller's search path, as the rows are written.
uint64 run_as_caller(const std::string &sql) {
  return call([&]() noexcept { return spi_write_as_caller(sql.c_str()); });
}

// Whoever may append may not see the pulls of all roles.
constexpr const char *kAgain = "Call parallel_pull_append again.";

std::string unfinished_hint(int64_t pull_id) {
  try {
    return resume_hint(find_pull(pull_id));
  } catch (const Error &) {
    return kBeginAnew;
  }
}

class Append {
public:
  Append(const AppendTask &task, Connection &source, SharedPull *pull, int slot)
      : task_(task), source_(source), pull_(pull), slot_(slot), table_(task.request.pull.table),
        local_name_(call([&]() noexcept { return destination_table_display_name(table_); })) {}

  ChunkResult run();

private:
  void lock_table();
  void require_empty(AppendLedger &marks, const AppendSubject &subject);
  void require_newest(AppendLedger &marks, const AppendSubject &subject, const AppendMark &mark,
                      const MayMove &may_move);
  [[nodiscard]] bool may_move_mark(Oid role, Oid owner) const;
  void require_no_live_pull(const AppendSubject &subject);
  void require_own(const std::optional<AppendMark> &mark, Oid role);
  template <class Fn> void look_at_source(Fn fn);
  void lock_filter(const FilterPath &path);
  void require_source_unchanged();
  void require_durable();
  void require_whole(AppendLedger &marks, const AppendSubject &subject, const AppendMark &mark,
                     const MayMove &may_move);
  std::string window_condition(const std::optional<AppendMark> &mark);
  std::optional<std::string> read_highest_key(const std::string &settled);
  void copy(Oid table, const std::string &condition);
  void copy_compared(const std::string &condition);
  void require_kept(const AppendMark &mark);
  std::string local_relations(const std::optional<AppendMark> &mark, bool compares_all);

  const AppendTask &task_;
  Connection &source_;
  SharedPull *pull_;
  int slot_;
  Oid table_;
  std::string local_name_; // qualified and quoted
  FilterPath filter_path_;
  Shape filter_relations_; // that the filter reads
  ChunkResult result_ = {0, 0, "copy", {}};
};

std::string combine(const std::string &condition, const std::string &window) {
  return window.empty() ? condition : "(" + condition + ") AND (" + window + ")";
}

ChunkResult Append::run() {
  require_appendable(source_, task_.table);
  lock_table();
  SpiExecutor executor(SpiMode::kWrite);
  const RecordedPull recorded = Ledger(executor).load_pull(pull_->pull_id);
  AppendLedger marks(executor);
  const AppendSubject subject = {table_, recorded.plan.identity.database,
                                 task_.table.name.display(), task_.request.pull.filter};
  const MayMove may_move = [this](Oid role, Oid owner) { return may_move_mark(role, owner); };
  const std::optional<AppendMark> mark = marks.find_mark(subject, may_move);
  require_own(mark, recorded.request.owner);
  require_no_live_pull(subject);
  if (!task_.request.pull.filter.empty()) // means what it meant for the rows that are here
    lock_filter(mark ? mark->source_path : recorded.plan.source_path);
  if (mark) {
    require_whole(marks, subject, *mark, may_move);
    require_newest(marks, subject, *mark, may_move);
  } else {
    require_empty(marks, subject);
  }
  AppendPlan plan = plan_append(mark, recorded.plan.bounds, read_relations(source_, task_.table),
                                recorded.plan.identity);
  plan.next.key = task_.key.text();
  plan.next.highest_key = read_highest_key(plan.settled);
  const std::string window = window_condition(mark);
  const bool compares_all = plan.compares_all && window.empty();
  if (mark && !compares_all)
    require_kept(*mark);
  plan.next.pull_id = pull_->pull_id;
  plan.next.source_path = filter_path_;
  plan.next.owner = mark ? mark->owner : recorded.request.owner;
  if (plan.compare)
    copy_compared(combine(*plan.compare, window));
  if (plan.direct)
    copy(table_, combine(*plan.direct, window));
  plan.next.local_relations = local_relations(mark, compares_all);
  require_source_unchanged();
  require_durable();
  marks.save_mark(subject, plan.next);
  return result_;
}

// Whatever has become of what is read, the rows that are here are not in question.
template <class Fn> void Append::look_at_source(Fn fn) {
  try {
    fn();
  } catch (const SourceChanged &changed) {
    throw Error(changed.sqlstate(), changed.message(), changed.detail(), kAgain);
  }
}

void Append::lock_filter(const FilterPath &path) {
  filter_path_ = path;
  look_at_source([&] {
    SourceReader &reader = task_.reader;
    reader.session().limit_lock_timeout();
    filter_relations_ = reader.lock_filter(task_.table, task_.table.probe_item(), filter_path_,
                                           task_.request.pull.filter);
    reader.session().release_lock_timeout();
  });
}

// Names may stand for other tables by now, and tables have joined those of the filter: that was
// read for some rows and not for others.
void Append::require_source_unchanged() {
  look_at_source([&] {
    const ExpectedRelation table = {task_.table.oid, task_.table.name};
    require_as_snapshot(source_, {&table, 1});
    if (task_.request.pull.filter.empty())
      return;
    std::set<uint32_t> own = {table.oid};
    if (task_.table.kind == 'p')
      for (const ShapeLine &line : look_at_partition_tree(source_, table.oid))
        own.insert(static_cast<uint32_t>(std::stoul(line.name)));
    require_no_namesake(pull_->pull_id, filter_relations_,
                        task_.reader.require_locked_as_snapshot(), own, kAgain);
  });
}

// So that nobody empties the table between the look at it and the rows.
void Append::lock_table() {
  const SinkColumns columns(task_.columns);
  const RowSink sink = columns.sink(table_, task_.description.c_str());
  call([&]() noexcept { row_sink_check(&sink); });
}

bool Append::may_move_mark(Oid role, Oid owner) const {
  return call([&]() noexcept {
    return has_privs_of_role(role, owner) || destination_table_belongs_to(table_, role);
  });
}

// All that it copies such a pull copies, too.
void Append::require_no_live_pull(const AppendSubject &subject) {
  const std::optional<int64_t> pull = find_live_whole_pull(subject);
  if (!pull)
    return;
  throw Error("55000",
              "pull " + std::to_string(*pull) + " of the whole table " + local_name_ +
                  " is not done",
              "It copies the rows that the append would copy.",
              "Append again after its end. Call " + call_text("parallel_pull_wait", *pull) +
                  " to wait for it, or " + call_text("parallel_pull_cancel", *pull) +
                  " to cancel the pull.");
}

// What it would leave out (by a window, by columns, by its trigger) lies below the mark then, and
// would never come for the role that the mark belongs to.
void Append::require_own(const std::optional<AppendMark> &mark, Oid role) {
  if (!mark || mark->owner == 0 || may_move_mark(role, mark->owner))
    return;
  const char *name = call([&]() noexcept { return GetUserNameFromId(mark->owner, true); });
  const std::string owner = name != nullptr ? "role " + quote_identifier(name) : "a dropped role";
  throw Error("42501", "permission denied to append to table " + local_name_,
              "Its rows were pulled by " + owner +
                  ", whose later appends would miss what this one leaves out.",
              "Members of that role, the owner of the table and superusers can append. After "
              "parallel_pull_forget(" +
                  quote_literal(local_name_) +
                  "), which they can call, any role can pull the emptied table.");
}

// Every row has been read: the snapshot's transaction may end.  Nothing is copied without its mark,
// as it would come again.
void Append::require_durable() {
  source_.exec("COMMIT");
  if (make_durable(source_))
    return;
  const std::string function(durability_function(server_info(source_).version));
  throw Error("55000", "source did not confirm that it has flushed the new rows",
              "A crash of the source might undo their transactions, and assign their IDs to "
              "others, whose rows no append would copy.",
              "Append again when the WAL writer of the source keeps up, or grant EXECUTE on " +
                  function + " there to the source's role.");
}

void Append::require_empty(AppendLedger &marks, const AppendSubject &subject) {
  if (run_as_caller("SELECT FROM " + local_name_ + " LIMIT 1") == 0)
    return;
  const std::optional<UnmarkedPull> unmarked = marks.find_unmarked(subject, std::nullopt, {});
  const std::string message =
      "table " + local_name_ + " is not empty and has no mark to append from";
  if (!unmarked)
    throw Error("55000", message, "Which of the source's rows it has is not known.",
                "Empty it and append again, which copies all rows.");
  const std::string pull = "Pull " + std::to_string(unmarked->pull_id);
  if (unmarked->is_open)
    throw Error(
        "55000", message, pull + " leaves one when its run ends.",
        "Append again when the run has ended. If it has ended without leaving one, empty the "
        "table and append again, which copies all rows.");
  throw Error("55000", message,
              pull + " left none: the source did not confirm that it had flushed what the pull had "
                     "read.",
              "Empty it and append again, which copies all rows.");
}

// What such a pull has brought lies above the mark, and would come again.
void Append::require_newest(AppendLedger &marks, const AppendSubject &subject,
                            const AppendMark &mark, const MayMove &may_move) {
  const std::optional<UnmarkedPull> unmarked = marks.find_unmarked(subject, mark, may_move);
  if (!unmarked)
    return;
  const std::string anew = "empty the table, call parallel_pull_forget(" +
                           quote_literal(local_name_) + "), and append, which copies all rows.";
  throw Error("55000",
              "pull " + std::to_string(unmarked->pull_id) + " into table " + local_name_ +
                  " has left no mark to append from",
              "It has copied rows since the mark that is there, which would come again.",
              unmarked->is_open ? "Append again when its run has ended. If it has ended without "
                                  "leaving a mark, " +
                                      anew
                                : "To go on, " + anew);
}

// What such a pull has left out lies below the mark, so no append would bring it.
void Append::require_whole(AppendLedger &marks, const AppendSubject &subject,
                           const AppendMark &mark, const MayMove &may_move) {
  const std::optional<int64_t> unfinished = marks.find_unfinished(subject, mark, may_move);
  if (!unfinished)
    return;
  const std::string pull = std::to_string(*unfinished);
  throw Error("55000", "pull " + pull + " into table " + local_name_ + " is not finished",
              "It has copied some of the source's rows, but not all.",
              unfinished_hint(*unfinished));
}

// What is gone from the tables that the mark knows would not come again: it lies below the mark.
// Where all rows are looked for, it does.
void Append::require_kept(const AppendMark &mark) {
  SpiExecutor executor(SpiMode::kWrite);
  std::optional<std::string> change =
      LocalRelations(executor).why_changed(table_, mark.local_relations);
  if (!change && mark.is_emptied)
    change = unlogged_loss();
  if (!change && !mark.is_recorded)
    change =
        "An older version pulled the table, and did not record the tables that the rows went into.";
  if (!change)
    return;
  const std::string name = quote_literal(local_name_);
  throw Error("55000", "cannot append to table " + local_name_ + ": rows that it had may be gone",
              *change,
              "If it has all rows that it should have, call parallel_pull_keep(" + name +
                  ") and append again. Otherwise empty it, call parallel_pull_forget(" + name +
                  "), and append or pull all rows again.");
}

// Of rows that were compared it is not known in which table they are.
std::string Append::local_relations(const std::optional<AppendMark> &mark, bool compares_all) {
  if (compares_all)
    return call([&]() noexcept { return local_relations_all(table_); });
  std::string written = call([&]() noexcept { return local_relations_written(table_); });
  if (!mark)
    return written;
  if (find_other_filenode(mark->local_relations, written))
    require_kept(*mark);
  return merge_local_relations(mark->local_relations, written);
}

// Of the known part of a table: keys below it were promised to be here.
std::string Append::window_condition(const std::optional<AppendMark> &mark) {
  const std::string &window = task_.request.window;
  if (window.empty() || !mark || !mark->highest_key || mark->key != task_.key.text())
    return {};
  const KeyColumn &column = task_.key.columns().front();
  const std::string highest = quote_literal(*mark->highest_key) + "::" + column.bound_type;
  const std::string type = window_type(column.bound_type);
  const std::string lowest = "(" + highest + " - " + quote_literal(window) + "::" + type + ")";
  const bool is_number = type == kNumeric;
  const Rows row = source_.exec("SELECT (" + (is_number ? "pg_catalog.floor" + lowest : lowest) +
                                ")::" + column.bound_type + "::pg_catalog.text");
  if (row.at(0, 0) == mark->highest_key) // nothing but itself lies below infinity
    return {};
  const std::string condition = task_.key.condition({.start = row.at(0, 0), .end = {}});
  // No promise was made of rows without a key.
  return column.is_not_null ? condition
                            : condition + " OR " + quote_identifier(column.name) + " IS NULL";
}

// Rows that a later append will take do not count: it must not look for them above themselves.
std::optional<std::string> Append::read_highest_key(const std::string &settled) {
  if (task_.request.window.empty())
    return std::nullopt;
  if (task_.key.columns().size() != 1) {
    throw Error(sqlstate::kInvalidParameterValue, "a window needs a key of one column", "",
                "Name the column in key.");
  }
  const KeyColumn &column = task_.key.columns().front();
  require_not_negative(source_, task_.request.window, window_type(column.bound_type));
  return source_
      .exec("SELECT pg_catalog.max(" + quote_identifier(column.name) + ")::" + column.bound_type +
            "::pg_catalog.text FROM " + task_.table.from_item() + " WHERE " + settled)
      .at(0, 0);
}

void Append::copy(Oid table, const std::string &condition) {
  const RowTask copy = {
      table,
      copy_statement(task_.table.from_item(), task_.columns, condition, task_.request.pull.filter),
      &task_.columns,
      task_.description,
      task_.request.route,
      filter_path_};
  task_.is_copying = true;
  const ChunkResult copied = move_rows(copy, source_, pull_, slot_);
  result_.byte_count += copied.byte_count;
  if (table != table_)
    return;
  result_.row_count += copied.row_count;
  result_.route = copied.route;
  result_.route_reason = copied.route_reason;
}

// Compared first: the other rows are surely not here.
void Append::copy_compared(const std::string &condition) {
  const ComparedRows rows = {table_, task_.table, task_.columns, task_.key, task_.description};
  result_.row_count +=
      copy_compared_rows(rows, source_, [&](Oid staging) { copy(staging, condition); });
}

} // namespace

ChunkResult run_append(const AppendTask &task, Connection &source, SharedPull *pull, int slot) {
  return Append(task, source, pull, slot).run();
}

} // namespace parallel_loader
