// chunk_mover: see chunk_mover.hpp.
#include "extension/chunk_mover.hpp"

#include "core/types.hpp"

#include <algorithm>

#include "extension/append_job.hpp"
#include "extension/boundary.hpp"
#include "extension/row_job.hpp"
#include "extension/server/session.hpp"
#include "extension/server/target_table.hpp"
#include "extension/server/worker_slots.hpp"
#include "extension/spi_executor.hpp"

namespace parallel_loader {

ChunkMover::ChunkMover(const WorkerTask &task)
    : task_(task), slot_(task.pull->slots[task.slot]), waiter_(&slot_.is_told_to_stop) {}

void ChunkMover::load_plan() {
  call([]() noexcept { session_begin(); });
  SpiExecutor executor(SpiMode::kWrite);
  plan_ = Ledger(executor).load_plan(task_.pull->pull_id);
  table_name_ =
      call([&]() noexcept { return target_table_display_name(task_.order.request.table); });
  call([]() noexcept { session_commit(); });
}

bool ChunkMover::move_next() {
  if (!plan_)
    load_plan();
  call([]() noexcept { session_begin(); });
  SpiExecutor executor(SpiMode::kWrite);
  Ledger ledger(executor);
  const std::optional<ClaimedChunk> chunk = ledger.claim_chunk(task_.pull->pull_id);
  if (!chunk) {
    call([]() noexcept { session_commit(); });
    return false;
  }
  chunk_ = chunk->number;
  worker_slot_begin_chunk(task_.pull, task_.slot, chunk_,
                          std::max<int64_t>(chunk->byte_estimate, 1));
  const ChunkResult result = move(open_source(), *chunk);
  note_read();
  call([]() noexcept { spi_fire_deferred_triggers(); });
  ledger.complete_chunk(task_.pull->pull_id, chunk_, result);
  call([]() noexcept { session_commit(); });
  note_done(result);
  return true;
}

// Connects once there is a chunk to move: until that chunk is read the coordinator holds the
// snapshot, so it can be imported.  The table stays locked on the source until the last chunk, so
// that a queued ALTER TABLE cannot come between two workers.
Connection &ChunkMover::open_source() {
  if (!reader_) {
    reader_.emplace(task_.order, source_address(), plan_->snapshot,
                    worker_session_name(task_.pull->pull_id), waiter_);
    pg_atomic_write_u32(&slot_.source_pid,
                        static_cast<uint32>(reader_->session().connection().backend_pid()));
    find_table(*reader_);
  }
  return reader_->session().connection();
}

// Of the pull's own source, the server that the coordinator has come to.
SourceAddress ChunkMover::source_address() const {
  if (plan_->snapshot.lock == 0)
    throw SnapshotGone("55000", "nothing proves which session holds the pull's snapshot");
  SourceAddress address = task_.source;
  const bool is_its_own = task_.work != nullptr && task_.work->address_size > 0;
  if (!is_its_own)
    address.conninfo = conninfo_at(address.conninfo, plan_->snapshot.place);
  return address;
}

void ChunkMover::find_table(SourceReader &reader) {
  reader.set_timezone(task_.order, plan_->format);
  table_ = reader.find_table(plan_->source_table);
  columns_ = {plan_->columns, plan_->format, {}};
  reader.lock_table(table_, columns_);
  if (!plan_->key.empty())
    key_ =
        Key::resolve(plan_->key, table_, load_column_types(reader.session().connection(), table_),
                     plan_->bound_type);
}

void ChunkMover::disconnect() {
  reader_.reset();
  pg_atomic_write_u32(&slot_.source_pid, 0);
}

ChunkResult ChunkMover::move(Connection &source, const ClaimedChunk &chunk) {
  const std::string description = describe(chunk);
  call([&]() noexcept { session_report_activity(description.c_str()); });
  const std::string from = chunk.relation.empty() ? table_.from_item() : chunk.relation;
  const RowJob job = {
      task_.order.request.table,
      copy_statement(from, columns_, key_.condition(chunk.range), task_.order.request.filter),
      &columns_, description, task_.order.route};
  try {
    if (task_.order.request.kind == PullKind::kAppend)
      return run_append_job({task_.order, table_, columns_, key_, description}, source, task_.pull,
                            task_.slot);
    return run_row_job(job, source, task_.pull, task_.slot);
  } catch (const Error &error) { // the source does not know our names for things
    throw Error(error.sqlstate(), error.message(),
                error.detail() + (error.detail().empty() ? "" : "\n") + "This happened while " +
                    description + ".",
                error.hint());
  }
}

// A session that will read nothing more must not keep the source from cleaning up dead rows while
// this process commits.
void ChunkMover::note_read() {
  worker_slot_chunk_read(task_.pull, task_.slot);
  if (!worker_slots_any_unclaimed(task_.pull))
    disconnect();
}

void ChunkMover::note_done(const ChunkResult &result) {
  worker_slot_chunk_done(task_.pull, task_.slot, result.row_count, result.byte_count);
  if (task_.work != nullptr) {
    pg_atomic_fetch_add_u64(&task_.work->rows, result.row_count);
    pg_atomic_fetch_add_u64(&task_.work->bytes, result.byte_count);
    pg_atomic_fetch_add_u32(&task_.work->chunks, 1);
  }
  chunk_ = 0;
}

std::string ChunkMover::describe(const ClaimedChunk &chunk) const {
  std::string text = "loading table " + table_name_ + " from source, pull " +
                     std::to_string(task_.pull->pull_id) + ", chunk " +
                     std::to_string(chunk.number);
  if (chunk.range.nulls)
    return text + " (rows with a null key)";
  if (chunk.range.start || chunk.range.end) {
    text += " (" + plan_->key + " from " + chunk.range.start.value_or("the lowest") + " to " +
            chunk.range.end.value_or("the highest") + ")";
  }
  return text;
}

} // namespace parallel_loader
