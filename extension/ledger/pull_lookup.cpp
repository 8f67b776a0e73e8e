#include "extension/ledger/pull_lookup.hpp"

#include "extension/bridge/spi_executor.hpp"
#include "extension/server/process/session.hpp"

extern "C" {
#include "utils/acl.h"
}

namespace parallel_loader {

namespace {

// The coordinator's lock, as session_lock_pull takes it, tells a live pull from an interrupted one.
std::string lookup_sql(std::string_view condition) {
  return "SELECT p.pull_id, p.owner::oid, p.\"table\"::oid, p.state, p.snapshot, "
         "(SELECT count(*) FROM parallel_loader.chunk AS c"
         " WHERE c.pull_id = p.pull_id AND c.state <> 'done'), "
         "p.segment, l.pid IS NOT NULL, p.kind, p.workers, p.source, coalesce(p.key, ''), "
         "EXISTS (SELECT FROM parallel_loader.chunk AS c"
         " WHERE c.pull_id = p.pull_id AND c.state = 'done'), "
         "EXISTS (SELECT FROM parallel_loader.pull AS o"
         " WHERE o.run_id = p.run_id AND o.pull_id <> p.pull_id), "
         "p.snapshot_lock IS NOT NULL, l.pid, coalesce((SELECT format('%I.%I', s.nspname, "
         "c.relname)"
         " FROM pg_class AS c JOIN pg_namespace AS s ON s.oid = c.relnamespace"
         " WHERE c.oid = p.\"table\"::oid), p.table_name, p.\"table\"::oid::text), "
         "EXISTS (SELECT FROM pg_class AS c WHERE c.oid = p.\"table\"::oid), p.tableoid "
         "FROM parallel_loader.pull AS p LEFT JOIN pg_locks AS l"
         " ON l.locktype = 'advisory' AND l.granted"
         " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
         " AND l.classid::bigint = p.pull_id >> 32"
         " AND l.objid::bigint = p.pull_id & 4294967295"
         " AND l.objsubid = " +
         std::to_string(kPullLockClass) + " WHERE " + std::string(condition);
}

FoundPull read_row(const Rows &rows, size_t row) {
  FoundPull found;
  found.pull_id = rows.integer(row, 0);
  found.owner = static_cast<Oid>(rows.integer(row, 1));
  found.table = static_cast<Oid>(rows.integer(row, 2));
  found.snapshot = rows.text(row, 4);
  found.chunks_left = static_cast<int>(rows.integer(row, 5));
  found.segment = static_cast<dsm_handle>(rows.integer(row, 6));
  found.kind = rows.text(row, 8);
  found.workers = static_cast<int>(rows.integer(row, 9));
  found.source = rows.text(row, 10);
  found.key = rows.text(row, 11);
  found.is_begun = rows.boolean(row, 12);
  found.shares_snapshot = rows.boolean(row, 13);
  found.has_snapshot_lock = rows.boolean(row, 14);
  found.coordinator_pid = static_cast<int>(rows.integer(row, 15));
  found.table_name = rows.text(row, 16);
  found.has_table = rows.boolean(row, 17);
  found.ledger = static_cast<Oid>(rows.integer(row, 18));
  const PullState recorded = parse_pull_state(rows.text(row, 3));
  const bool has_coordinator = rows.boolean(row, 7);
  found.is_live = has_coordinator && !has_ended(recorded);
  found.is_held = has_coordinator && has_ended(recorded);
  found.state = has_coordinator || has_ended(recorded) ? recorded : PullState::kInterrupted;
  return found;
}

bool may_see(const FoundPull &found) {
  return call([&]() noexcept { return has_privs_of_role(GetUserId(), found.owner); });
}

} // namespace

static FoundPull look_up(int64_t pull_id) {
  SpiExecutor executor(SpiMode::kReadLatest);
  const Rows rows = executor.exec(lookup_sql("p.pull_id = $1::bigint"), {std::to_string(pull_id)});
  if (rows.empty() || !may_see(read_row(rows, 0)))
    throw Error(sqlstate::kUndefinedObject, "pull " + std::to_string(pull_id) + " does not exist",
                "", "View parallel_pulls lists your pulls.");
  return read_row(rows, 0);
}

// A coordinator that ends between the look at the ledger and the look at its lock seems lost.  Its
// last word is committed before its lock goes, so a second look tells.
FoundPull find_pull(int64_t pull_id) {
  FoundPull found = look_up(pull_id);
  return found.state == PullState::kInterrupted ? look_up(pull_id) : found;
}

int find_resumer(int64_t pull_id) {
  SpiExecutor executor(SpiMode::kReadLatest);
  const Rows rows = executor.exec(
      "SELECT l.pid FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted"
      " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
      " AND l.classid::bigint = $1::bigint >> 32"
      " AND l.objid::bigint = $1::bigint & 4294967295 AND l.objsubid = " +
          std::to_string(kResumeLockClass),
      {std::to_string(pull_id)});
  return rows.empty() || rows.is_null(0, 0) ? 0 : static_cast<int>(rows.integer(0, 0));
}

std::vector<FoundPull> find_live_pulls() {
  SpiExecutor executor(SpiMode::kReadLatest);
  const Rows rows = executor.exec(
      lookup_sql("p.state IN ('planned', 'running', 'paused') AND l.pid IS NOT NULL"));
  std::vector<FoundPull> pulls;
  for (size_t row = 0; row < rows.size(); row++) {
    const FoundPull found = read_row(rows, row);
    if (may_see(found))
      pulls.push_back(found);
  }
  return pulls;
}

std::vector<FoundPull> find_held_pulls() {
  SpiExecutor executor(SpiMode::kReadLatest);
  const Rows rows = executor.exec(
      lookup_sql("p.state IN ('failed', 'cancelled') AND l.pid IS NOT NULL ORDER BY p.finished"));
  std::vector<FoundPull> pulls;
  for (size_t row = 0; row < rows.size(); row++)
    pulls.push_back(read_row(rows, row));
  return pulls;
}

std::optional<int64_t> find_live_pull_into(Oid table) {
  SpiExecutor executor(SpiMode::kReadLatest);
  const Rows rows = executor.exec(lookup_sql("p.\"table\" = $1::oid AND l.pid IS NOT NULL"
                                             " AND p.state IN ('planned', 'running', 'paused')"),
                                  {std::to_string(table)});
  return rows.empty() ? std::nullopt : std::optional(read_row(rows, 0).pull_id);
}

std::optional<int64_t> find_live_whole_pull(const AppendSubject &subject) {
  SpiExecutor executor(SpiMode::kReadLatest);
  const Rows rows =
      executor.exec(lookup_sql("p.kind = 'pull' AND p.\"table\" = $1::oid AND l.pid IS NOT NULL"
                               " AND p.state IN ('planned', 'running', 'paused')"
                               " AND p.range_start IS NULL AND p.range_end IS NULL"
                               " AND coalesce(p.filter, '') = $4::text"
                               " AND (p.source_database IS NULL"
                               " OR p.source_database = $2::text AND p.source_table = $3::text)"),
                    {std::to_string(subject.table), subject.source_database, subject.source_table,
                     subject.filter});
  return rows.empty() ? std::nullopt : std::optional(read_row(rows, 0).pull_id);
}

AttachedPull::AttachedPull(const FoundPull &found) {
  if (!found.is_live && !found.is_held)
    return;
  segment_ =
      call([&]() noexcept { return shared_pull_attach(found.segment, &pull_, &is_new_mapping_); });
  if (segment_ == nullptr)
    return;
  if (pull_->pull_id != found.pull_id || pull_->ledger != found.ledger)
    pull_ = nullptr;
}

AttachedPull::~AttachedPull() {
  if (segment_ != nullptr && is_new_mapping_)
    dsm_detach(segment_); // raises nothing: it unmaps and, as the last one, frees
}

} // namespace parallel_loader
