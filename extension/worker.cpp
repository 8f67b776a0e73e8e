// worker: see worker.hpp.
#include "extension/worker.hpp"

#include "core/column_map.hpp"
#include "core/range.hpp"
#include "core/source_table.hpp"
#include "core/types.hpp"

#include "extension/boundary.hpp"
#include "extension/copy_job.hpp"
#include "extension/latch_waiter.hpp"
#include "extension/server/background.hpp"
#include "extension/server/session.hpp"
#include "extension/server/target_table.hpp"
#include "extension/source_reader.hpp"
#include "extension/spi_executor.hpp"

extern "C" {
#include "storage/ipc.h"
}

namespace parallel_loader {

namespace {

class Worker {
public:
  explicit Worker(const WorkerTask &task)
      : task_(task), progress_(task.pull->slots[task.slot]), waiter_(&progress_.is_told_to_stop) {}

  void run() {
    load_plan();
    while (may_begin_chunk() && move_next_chunk()) {
    }
  }

  /// Adds where it happened to the detail of a failure.
  void locate(ErrorReport &report) const {
    std::string sentence = "Pull " + std::to_string(task_.pull->pull_id) + " failed";
    sentence += chunk_ != 0 ? " at chunk " + std::to_string(chunk_) + "." : ".";
    error_report_add_detail(&report, sentence.c_str());
  }

  /// Tells the ledger of a failure, in a transaction of its own.
  void record_failure(const ErrorReport &report) {
    if (chunk_ == 0)
      return;
    call([&]() noexcept { session_begin(task_.pull->owner); });
    SpiExecutor executor(SpiMode::kWrite);
    Ledger(executor).fail_chunk(task_.pull->pull_id, chunk_, error_report_sqlstate(&report),
                                report.message);
    call([]() noexcept { session_commit(); });
  }

private:
  void load_plan() {
    call([&]() noexcept { session_begin(task_.pull->owner); });
    SpiExecutor executor(SpiMode::kWrite);
    plan_ = Ledger(executor).load_plan(task_.pull->pull_id);
    table_name_ =
        call([&]() noexcept { return target_table_display_name(task_.order.request.table); });
    call([]() noexcept { session_commit(); });
  }

  // Connects once there is a chunk to move: until that chunk is done the coordinator holds the
  // snapshot, so it can be imported.  The table stays locked on the source until the last chunk, so
  // that a queued ALTER TABLE cannot come between two workers.
  Connection &open_source() {
    if (!reader_) {
      const std::string name =
          "parallel_loader worker of pull " + std::to_string(task_.pull->pull_id);
      reader_.emplace(task_.order, task_.source, plan_.snapshot, name, waiter_);
      find_table(*reader_);
    }
    return reader_->session().connection();
  }

  void find_table(SourceReader &reader) {
    Connection &source = reader.session().connection();
    table_ = reader.find_table(plan_.source_table);
    columns_ = {plan_.columns, plan_.format, {}};
    reader.lock_table(table_, columns_);
    if (!plan_.key.empty())
      key_ = Key::resolve(plan_.key, table_, load_column_types(source, table_), plan_.bound_type);
  }

  [[nodiscard]] bool may_begin_chunk() const {
    return task_.work == nullptr || shared_work_take_chunk(task_.work);
  }

  bool move_next_chunk() {
    call([&]() noexcept { session_begin(task_.pull->owner); });
    SpiExecutor executor(SpiMode::kWrite);
    Ledger ledger(executor);
    const std::optional<ClaimedChunk> chunk = ledger.claim_chunk(task_.pull->pull_id);
    if (!chunk) {
      call([]() noexcept { session_commit(); });
      return false;
    }
    chunk_ = chunk->number;
    pg_atomic_write_u32(&progress_.chunk, static_cast<uint32>(chunk_));
    const ChunkResult result = move(open_source(), *chunk);
    call([]() noexcept { spi_fire_deferred_triggers(); });
    ledger.complete_chunk(task_.pull->pull_id, chunk_, result);
    call([]() noexcept { session_commit(); });
    count(result);
    return true;
  }

  ChunkResult move(Connection &source, const ClaimedChunk &chunk) {
    const CopyJob job = {
        task_.order.request.table,
        copy_statement(chunk.relation.empty() ? table_.from_item() : chunk.relation, columns_,
                       key_.condition(chunk.range), task_.order.request.filter),
        &columns_, describe(chunk)};
    call([&]() noexcept { session_report_activity(job.description.c_str()); });
    try {
      return run_copy_job(job, source, progress_);
    } catch (const Error &error) { // the source does not know our names for things
      throw Error(error.sqlstate(), error.message(),
                  error.detail() + (error.detail().empty() ? "" : "\n") + "This happened while " +
                      job.description + ".",
                  error.hint());
    }
  }

  void count(const ChunkResult &result) {
    pg_atomic_write_u32(&progress_.chunk, 0);
    pg_atomic_write_u64(&progress_.rows, 0);
    pg_atomic_write_u64(&progress_.bytes, 0);
    pg_atomic_fetch_add_u64(&task_.pull->rows_done, result.row_count);
    pg_atomic_fetch_add_u64(&task_.pull->bytes_done, result.byte_count);
    pg_atomic_fetch_add_u32(&task_.pull->chunks_done, 1);
    if (task_.work != nullptr) {
      pg_atomic_fetch_add_u64(&task_.work->rows, result.row_count);
      pg_atomic_fetch_add_u64(&task_.work->bytes, result.byte_count);
      pg_atomic_fetch_add_u32(&task_.work->chunks, 1);
    }
    chunk_ = 0;
    const int coordinator = task_.pull->coordinator_pid;
    call([&]() noexcept { shared_pull_wake(coordinator); });
  }

  std::string describe(const ClaimedChunk &chunk) const {
    std::string text = "loading table " + table_name_ + " from source, pull " +
                       std::to_string(task_.pull->pull_id) + ", chunk " +
                       std::to_string(chunk.number);
    if (chunk.range.nulls)
      return text + " (rows with a null key)";
    if (chunk.range.start || chunk.range.end) {
      text += " (" + plan_.key + " from " + chunk.range.start.value_or("the lowest") + " to " +
              chunk.range.end.value_or("the highest") + ")";
    }
    return text;
  }

  const WorkerTask &task_;
  WorkerSlot &progress_;
  LatchWaiter waiter_;
  std::optional<SourceReader> reader_;
  PullPlan plan_;
  SourceTable table_;
  ColumnMap columns_;
  Key key_;
  std::string table_name_; // of the destination, for people
  int chunk_ = 0;          // being moved; 0: none
};

// Everything a worker's failure changes: its transaction, the pull's error, the chunk's row.
void fail(Worker &worker, const WorkerTask &task, ErrorReport &report, PullStop reason) {
  call([]() noexcept {
    session_abort();
    session_hold_cancel(); // the coordinator stops all workers now
  });
  worker.locate(report);
  call([&]() noexcept { shared_pull_fail(task.pull, &report, reason); });
  worker.record_failure(report);
}

// What a stop interrupts is not a failure of its own.
bool is_being_stopped(const WorkerTask &task) {
  return pg_atomic_read_u32(&task.pull->slots[task.slot].is_told_to_stop) != 0 ||
         shared_pull_stop_reason(task.pull) != kStopNone;
}

} // namespace

bool run_worker(const WorkerTask &task) noexcept {
  ErrorReport report;
  PullStop reason = kStopFailed;
  Worker worker(task);
  try {
    worker.run();
    return true;
  } catch (const PgError &error) {
    report = error.report();
    reason = error.is_cancel() ? kStopCancelled : kStopFailed;
  } catch (...) {
    describe_current_exception(report);
  }
  try {
    if (is_being_stopped(task)) {
      call([]() noexcept { session_abort(); });
      return true;
    }
    fail(worker, task, report, reason);
  } catch (...) { // the ledger could not be told; the pull's error says what happened first
    session_abort();
  }
  return false;
}

void pin_worker_session(const Order &order) {
  const SessionSettings settings = {order.request.timezone.c_str(),
                                    order.request.date_order.c_str(), order.search_path.c_str(),
                                    order.replication_role.c_str()};
  call([&]() noexcept {
    session_pin_settings(&settings);
    session_commit_asynchronously();
  });
}

} // namespace parallel_loader

extern "C" PGDLLEXPORT void parallel_loader_worker_main(Datum /*argument*/);

void parallel_loader_worker_main(Datum /*argument*/) {
  using namespace parallel_loader;
  const WorkerArgs args = background_worker_args();
  SharedPull *pull = background_attach(args.pull);
  background_enter_slot(pull, args.slot);
  background_connect(pull);
  const bool is_done = entry([&] {
    const Order order = parse_order({pull->order, pull->order_size});
    SharedWork *work =
        args.work == 0 ? nullptr : call([&]() noexcept { return shared_work_attach(args.work); });
    const bool has_own_source = work != nullptr && work->address_size > 0;
    const SourceAddress source =
        has_own_source ? parse_address({work->address, work->address_size}) : order.source;
    pin_worker_session(order);
    return run_worker({pull, args.slot, work, order, source});
  });
  shared_pull_leave_slot(pull, args.slot, kSlotFree);
  proc_exit(is_done ? 0 : 1);
}
