#include "extension/worker/chunk_mover.hpp"

#include "core/ledger/local_relations.hpp"
#include "core/ledger/pull_state.hpp"
#include "core/source/relation_sizes.hpp"
#include "core/source/source_relations.hpp"
#include "core/source/types.hpp"

#include <algorithm>
#include <utility>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/local_table.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/ledger/pull_refusal.hpp"
#include "extension/server/load/copy_from.hpp"
#include "extension/server/load/local_relations.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/run_inbox.hpp"
#include "extension/server/shared/worker_slots.hpp"
#include "extension/worker/append.hpp"
#include "extension/worker/route.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
}

namespace parallel_loader {

namespace {

// Since 1970, as to_timestamp takes them.
double seconds_of(TimestampTz time) {
  return static_cast<double>(time) / USECS_PER_SEC +
         static_cast<double>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
}

} // namespace

ChunkMover::ChunkMover(const WorkerContext &context)
    : context_(context), slot_(context.pull->slots[context.slot]), waiter_(&slot_.is_told_to_stop),
      request_(context.request), pull_id_(context.pull->is_run ? 0 : context.pull->pull_id) {}

void ChunkMover::load_plan() {
  call([]() noexcept { session_begin(); });
  SpiExecutor executor(SpiMode::kWrite);
  plan_ = Ledger(executor).load_plan(pull_id_);
  table_name_ = find_pull(pull_id_).table_name; // the table may be gone
  call([]() noexcept { session_commit(); });
  take_plan();
}

void ChunkMover::take_plan() {
  source_shape_ = read_shape(plan_->source_shape);
  local_shape_ = read_shape(plan_->local_shape);
  columns_ = {plan_->columns, plan_->format, {}};
}

// In the transaction of the claim.  The session on the source stays, and its snapshot: what it has
// locked and set for the pull before is taken back there.
void ChunkMover::enter_pull(Ledger &ledger, int64_t pull_id) {
  const std::optional<PullPlan> before = std::exchange(plan_, std::nullopt);
  pull_id_ = pull_id;
  RecordedPull recorded = ledger.load_pull(pull_id);
  const bool is_same_place = before && before->snapshot.place == recorded.plan.snapshot.place &&
                             before->snapshot.name == recorded.plan.snapshot.name;
  const bool is_read_alike = request_.pull.date_order == recorded.request.date_order;
  request_.pull = std::move(recorded.request);
  plan_ = std::move(recorded.plan);
  written_.reset();
  take_plan();
  table_name_ = find_pull(pull_id).table_name; // the table may be gone
  pin_worker_session(request_);
  if (!is_same_place || !is_read_alike)
    disconnect();
  if (!reader_)
    return;
  locked_.clear();
  read_.clear();
  pg_atomic_write_u32(&slot_.has_lock, 0);
  reader_->begin_anew();
  prepare_table(*reader_);
}

std::optional<ClaimedChunk> ChunkMover::claim(Ledger &ledger) {
  if (!context_.pull->is_run)
    return ledger.claim_chunk(pull_id_);
  return ledger.claim_run_chunk(context_.pull->coordinator_id,
                                context_.session != nullptr ? context_.session->pull_id : 0);
}

bool ChunkMover::move_next() {
  pin_worker_session(request_); // triggers of the chunk before may have changed settings
  if (!plan_ && !context_.pull->is_run)
    load_plan();
  call([]() noexcept { session_begin(); });
  SpiExecutor executor(SpiMode::kWrite);
  Ledger ledger(executor);
  const std::optional<ClaimedChunk> chunk = claim(ledger);
  if (!chunk) {
    call([]() noexcept { session_commit(); });
    return false;
  }
  chunk_ = chunk->number;
  is_copying_ = false;
  worker_slot_begin_chunk(context_.pull, context_.slot, chunk->pull_id, chunk_,
                          std::max<int64_t>(chunk->byte_estimate, 1));
  if (context_.pull->is_run && (chunk->pull_id != pull_id_ || !plan_))
    enter_pull(ledger, chunk->pull_id);
  ChunkResult result = move(open_source(*chunk), *chunk);
  result.started = seconds_of(slot_.begun_at);
  result.copied_by = MyProcPid;
  require_source_unchanged(*chunk);
  note_read();
  const std::string written = note_written(executor, result);
  call([]() noexcept { spi_fire_deferred_triggers(); });
  ledger.complete_chunk(pull_id_, chunk_, result);
  call([]() noexcept { session_commit(); });
  written_ = written;
  note_done(result);
  return true;
}

// Connects once there is a chunk to move: until that chunk is read the coordinator holds the
// snapshot, so it can be imported.  What a chunk reads stays locked on the source, so that a queued
// ALTER TABLE cannot come between two workers; a session that has locked many partitions gives
// them up and begins anew, since the source has room for so many locks and no more.
Connection &ChunkMover::open_source(const ClaimedChunk &chunk) {
  constexpr size_t kMostLocked = 32;
  if (reader_ && locked_.size() >= kMostLocked && !locked_.contains(from_item(chunk)))
    disconnect();
  if (!reader_) {
    reader_.emplace(request_, source_address(), plan_->snapshot,
                    worker_session_name(context_.pull->pull_id), waiter_);
    pg_atomic_write_u32(&slot_.source_pid,
                        static_cast<uint32>(reader_->session().connection().backend_pid()));
    if (context_.pull->is_run)
      reader_->allow_anew();
    prepare_table(*reader_);
  }
  pg_atomic_write_u32(&slot_.has_lock, locked_.contains(from_item(chunk)) ? 1 : 0);
  lock_relation(chunk);
  pg_atomic_write_u32(&slot_.has_lock, 1);
  return reader_->session().connection();
}

// Of the pull's own source, the server that the coordinator has come to.
SourceAddress ChunkMover::source_address() const {
  if (plan_->snapshot.lock == 0)
    throw SnapshotGone("55000", "nothing proves which session holds the pull's snapshot");
  SourceAddress address = context_.source;
  const bool is_its_own = context_.session != nullptr && context_.session->address.size > 0;
  if (!is_its_own)
    address.conninfo = conninfo_at(address.conninfo, plan_->snapshot.place);
  return address;
}

void ChunkMover::prepare_table(SourceReader &reader) {
  reader.set_timezone(request_, plan_->format);
  table_ = reader.find_table(plan_->source_table);
  const Types &types = reader.session().column_types(table_.columns);
  key_ = Key::resolve(plan_->key, table_, types, plan_->bound_type);
  std::vector<std::string> names;
  for (const ShapeLine &line : source_shape_)
    if (line.part == ShapePart::kColumn)
      names.push_back(line.name);
  shape_ = SourceShape(table_, types, source_shape_.empty() ? plan_->columns : names);
  labels_ = EnumLabels(table_, types, names);
  if (plan_->format == Format::kText)
    find_chars(types);
}

// A table or a column that is gone is found out under the lock.
void ChunkMover::find_chars(const Types &types) {
  SpiExecutor executor(SpiMode::kReadLatest);
  const Oid table = request_.pull.table;
  if (find_char_flaw(types.server(), server_info(executor)) == CharFlaw::kNone ||
      call([&]() noexcept { return get_rel_relkind(table); }) == '\0')
    return;
  const DestinationTable local = describe_local_table(table);
  columns_.chars =
      find_char_text(table_, types, local, load_local_types(local.columns), columns_.columns);
}

std::string ChunkMover::from_item(const ClaimedChunk &chunk) const {
  return chunk.relation.empty() ? table_.from_item() : leaf_item(chunk.relation);
}

// A lock on the table does not keep the fields of composites as they are.
void ChunkMover::lock_relation(const ClaimedChunk &chunk) {
  const std::string from = from_item(chunk);
  const bool is_leaf = !chunk.relation.empty();
  const bool is_locked = locked_.contains(from);
  if (is_locked && !shape_.has_fields())
    return;
  if (!is_locked && !locked_.empty())
    reader_->session().limit_lock_timeout();
  require_types(reader_->lock_relation(from, relation_of(chunk), shape_),
                is_leaf ? PlaceRule::kIgnored : PlaceRule::kCompared);
  if (is_locked)
    return;
  if (!is_leaf && has_members())
    require_members(reader_->lock_members(table_, columns_));
  lock_filter(from);
  reader_->session().release_lock_timeout();
  locked_.insert(from);
  read_.insert(is_leaf ? chunk.relation_oid : table_.oid);
}

ExpectedRelation ChunkMover::relation_of(const ClaimedChunk &chunk) const {
  return {chunk.relation_oid,
          chunk.relation.empty() ? table_.name : parse_qualified_name(chunk.relation)};
}

// Once a session: all its chunks are read by the same filter.  That of an append is read as its
// mark says: see append.hpp.
void ChunkMover::lock_filter(const std::string &from) {
  const PullRequest &pull = request_.pull;
  if (!locked_.empty() || pull.filter.empty() || pull.kind == PullKind::kAppend)
    return;
  const Shape now = reader_->lock_filter(table_, from, plan_->source_path, pull.filter);
  if (const auto change = find_filter_change(source_shape_, now))
    throw other_filter(pull_id_, *change, kBeginAnew);
}

bool ChunkMover::has_members() const {
  return std::ranges::any_of(
      source_shape_, [](const ShapeLine &line) { return line.part == ShapePart::kRelation; });
}

void ChunkMover::throw_altered(const ShapeChange &change, const std::string &table) {
  const std::string pull = std::to_string(pull_id_);
  const bool is_untouched = done_count() == 0;
  const std::string resume = next_resume();
  const bool is_append = request_.pull.kind == PullKind::kAppend;
  throw Error("55000",
              "column \"" + change.name + "\" of table " + table + " was altered since pull " +
                  pull + " was planned",
              change.sentence(),
              is_append      ? "Call parallel_pull_append again."
              : is_untouched ? "Call parallel_pull_resume(" + pull + ") to plan the pull again."
              : resume.empty()
                  ? kBeginAnew
                  : "Alter it back and call " + resume + ", or empty the table and pull it again.");
}

// Of the pull: the counts in shared memory are those of the whole run.
int ChunkMover::done_count() const {
  if (!context_.pull->is_run)
    return worker_slots_counts(context_.pull).chunks_done;
  SpiExecutor executor(SpiMode::kReadLatest);
  return Ledger(executor).totals(pull_id_).done_count;
}

void ChunkMover::require_types(const Shape &now, PlaceRule places) {
  if (source_shape_.empty()) // planned by an earlier version, under the same snapshot
    return;
  if (!find_shape_change(source_shape_, now, "cf", places))
    return;
  Shape described = now;
  describe_shape(reader_->session().connection(), described);
  throw_altered(*find_shape_change(source_shape_, described, "cf", places),
                table_.name.cited() + " of the source");
}

// What has joined or left since the plan is in some chunks and not in others.
void ChunkMover::throw_other_members(const std::string &change) {
  throw Error("55000",
              "table " + table_.name.cited() +
                  " of the source consists of other tables than when pull " +
                  std::to_string(pull_id_) + " was planned",
              change, kBeginAnew);
}

void ChunkMover::require_members(const Shape &now) {
  if (const auto change = find_member_change(source_shape_, now))
    throw_other_members(change->before.empty() ? "New is " + change->after + "."
                                               : "Gone is " + change->before + ".");
}

// After the rows have come: by what held while they did.  Commands that a reader does not hold up
// may have come between the look before and the reading itself: a schema is renamed under a lock on
// its tables, too.  An append has looked by itself, and has ended its transaction on the source.
void ChunkMover::require_source_unchanged(const ClaimedChunk &chunk) {
  if (!reader_)
    return;
  lock_relation(chunk);
  const bool is_append = request_.pull.kind == PullKind::kAppend;
  const ExpectedRelation relation = relation_of(chunk);
  if (!is_append)
    require_as_snapshot(reader_->session().connection(), {&relation, 1});
  if (const auto change =
          find_label_change(source_shape_, labels_.read(reader_->session().connection())))
    throw_altered(*change, table_.name.cited() + " of the source");
  const bool is_whole = chunk.relation.empty() && has_members();
  const bool has_filter = !request_.pull.filter.empty();
  if (!is_append && (has_filter || (is_whole && table_.kind == 'v')))
    require_no_namesake(pull_id_, source_shape_, reader_->require_locked_as_snapshot(), read_,
                        kBeginAnew);
  if (!is_whole || table_.kind != 'p')
    return;
  const Shape now = partition_tree(reader_->session().connection(), table_.oid);
  if (const ShapeLine *added = find_new(source_shape_, now))
    throw_other_members("New is " + added->words + ".");
}

// Under the lock that the rows are written with.
void ChunkMover::require_local_types() {
  const Oid table = request_.pull.table;
  if (call([&]() noexcept { return get_rel_relkind(table); }) == '\0')
    throw Error(sqlstate::kUndefinedTable, "table " + table_name_ + " no longer exists", "",
                "Create the table, and pull it again.");
  if (local_shape_.empty())
    return;
  const SinkColumns columns(columns_);
  const RowSink sink = columns.sink(table, table_name_.c_str());
  call([&]() noexcept { row_sink_check(&sink); });
  if (const auto change = find_shape_change(
          local_shape_, local_shape(describe_local_table(table), columns_.columns), "c",
          PlaceRule::kCompared))
    throw_altered(*change, table_name_);
}

void ChunkMover::disconnect() {
  reader_.reset();
  locked_.clear();
  read_.clear();
  pg_atomic_write_u32(&slot_.has_lock, 0);
  pg_atomic_write_u32(&slot_.source_pid, 0);
}

ChunkResult ChunkMover::move(Connection &source, const ClaimedChunk &chunk) {
  const std::string description = describe(chunk);
  call([&]() noexcept { session_report_activity(description.c_str()); });
  const std::string from = from_item(chunk);
  const std::string &filter = request_.pull.filter;
  const RowTask task = {
      request_.pull.table, copy_statement(from, columns_, key_.condition(chunk.range), filter),
      &columns_,           description,
      request_.route,      filter.empty() ? FilterPath() : plan_->source_path};
  try {
    require_local_types();
    if (request_.pull.kind == PullKind::kAppend)
      return run_append({request_, table_, columns_, key_, description, *reader_, is_copying_},
                        source, context_.pull, context_.slot);
    is_copying_ = true;
    return move_rows(task, source, context_.pull, context_.slot);
  } catch (const Error &error) { // the source does not know our names for things
    throw Error(error.sqlstate(), error.message(),
                error.detail() + (error.detail().empty() ? "" : "\n") + "This happened " +
                    (is_copying_ ? "while " : "before ") + description + ".",
                error.hint());
  }
}

// Under the lock that the rows were written with: what the chunks before this one went into has to
// be as they left it.  Returns what is known then, once the chunk is committed.  A chunk that went
// into many partitions records those that none before it has.
std::string ChunkMover::note_written(Executor &executor, ChunkResult &result) {
  constexpr size_t kLongList = 2000;
  const Oid table = request_.pull.table;
  std::string written = call([&]() noexcept { return local_relations_written(table); });
  if (request_.pull.kind == PullKind::kAppend) { // one chunk, which looks after its mark
    result.local_relations = written;
    return written;
  }
  LocalRelations relations(executor);
  if (!written_)
    written_ = relations.recorded(pull_id_);
  if (const std::optional<std::string> other = find_other_filenode(*written_, written)) {
    throw Error("55000", "table " + table_name_ + " was changed while the pull ran",
                "Since rows went into table " + relations.display_name(*other) +
                    ", it was emptied (TRUNCATE) or rewritten (VACUUM FULL, CLUSTER, ALTER TABLE).",
                local_change_hint(table_name_, next_resume()));
  }
  result.local_relations =
      written.size() > kLongList ? words_without(written, *written_) : std::move(written);
  return merge_local_relations(*written_, result.local_relations);
}

// By the time somebody reads it: the pull is about to fail.
std::string ChunkMover::next_resume() const {
  return resume_call(pull_id_, plan_->key, request_.snapshot_hold_ms > 0);
}

// A session that will read nothing more must not keep the source from cleaning up dead rows while
// this process commits.
void ChunkMover::note_read() {
  worker_slot_chunk_read(context_.pull, context_.slot);
  if (!worker_slots_any_unclaimed(context_.pull) && !may_be_needed() &&
      pg_atomic_read_u32(&context_.pull->awaits_plans) == 0)
    disconnect();
}

// A worker that waits for its lock behind a command of others may have to give its chunk back, and
// then only a session that stands before that command can read it.
bool ChunkMover::may_be_needed() const {
  return reader_ && worker_slots_any_without_lock(context_.pull, context_.slot);
}

void ChunkMover::note_done(const ChunkResult &result) {
  worker_slot_chunk_done(context_.pull, context_.slot, result.row_count, result.byte_count);
  if (context_.pull->is_run)
    run_inbox_touch(context_.pull, pull_id_);
  if (context_.session != nullptr) {
    pg_atomic_fetch_add_u64(&context_.session->rows, result.row_count);
    pg_atomic_fetch_add_u64(&context_.session->bytes, result.byte_count);
    pg_atomic_fetch_add_u32(&context_.session->chunks, 1);
  }
  chunk_ = 0;
}

std::string ChunkMover::describe(const ClaimedChunk &chunk) const {
  std::string text = "loading table " + table_name_ + " from source, pull " +
                     std::to_string(pull_id_) + ", chunk " + std::to_string(chunk.number);
  if (chunk.range.nulls)
    return text + " (rows with a null key)";
  if (chunk.range.start || chunk.range.end) {
    text += " (" + plan_->key + " from " + chunk.range.start.value_or("the lowest") + " to " +
            chunk.range.end.value_or("the highest") + ")";
  }
  return text;
}

} // namespace parallel_loader
