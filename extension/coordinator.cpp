// coordinator: the background process that owns a pull: ledger, snapshot, workers.
#include "core/ledger.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "extension/boundary.hpp"
#include "extension/latch_waiter.hpp"
#include "extension/order.hpp"
#include "extension/pull_planner.hpp"
#include "extension/server/background.hpp"
#include "extension/server/session.hpp"
#include "extension/server/shared_pull.hpp"
#include "extension/source_reader.hpp"
#include "extension/spi_executor.hpp"
#include "extension/worker.hpp"

extern "C" {
#include "storage/ipc.h"
}

namespace parallel_loader {

namespace {

constexpr long kLookAgainMs = 500;

class Coordinator {
public:
  Coordinator(SharedPull *pull, dsm_handle handle)
      : pull_(pull), handle_(handle), order_(parse_order({pull->order, pull->order_size})),
        waiter_(&pull->stop) {
    order_.request.owner = pull->owner;
    order_.request.segment = handle;
  }

  void record();
  void plan();
  void supervise();
  void clear_away_workers();
  void end(PullEnd end, const ErrorReport *report);

  [[nodiscard]] int64_t pull_id() const noexcept { return pull_->pull_id; }

private:
  template <class Fn> void in_transaction(Fn fn);
  bool start_worker();
  void start_workers();
  void release_unstarted_slots();
  void wait_for_processes();
  void work_itself();
  void mark_running();
  void fail_lost_workers();
  [[nodiscard]] bool is_done();
  void throw_if_abandoned();

  /// A worker this process has registered.
  struct Registered {
    BackgroundWorkerHandle *handle;
    int slot;
  };

  SharedPull *pull_;
  dsm_handle handle_;
  Order order_;
  std::vector<Registered> registered_;
  LatchWaiter waiter_;
  std::unique_ptr<SourceReader> reader_; // holds the snapshot
  int chunk_count_ = 0;
  bool is_running_ = false;
  long idle_ms_ = 0;
};

template <class Fn> void Coordinator::in_transaction(Fn fn) {
  call([&]() noexcept { session_begin(pull_->owner); });
  SpiExecutor executor(SpiMode::kWrite);
  Ledger ledger(executor);
  fn(ledger);
  call([]() noexcept { session_commit(); });
}

// The lock comes before the commit, so that nobody sees the pull without its coordinator.
void Coordinator::record() {
  in_transaction([&](Ledger &ledger) {
    int64_t const pull_id = ledger.create_pull(order_.request);
    call([&]() noexcept { session_lock_pull(pull_id); });
    pull_->pull_id = pull_id;
  });
  call([&]() noexcept { shared_pull_enter_phase(pull_, kPhaseRecorded); });
}

void Coordinator::plan() {
  std::optional<std::string> snapshot;
  if (!order_.snapshot.empty())
    snapshot = order_.snapshot;
  reader_ = std::make_unique<SourceReader>(
      order_, order_.source, snapshot,
      "parallel_loader coordinator of pull " + std::to_string(pull_id()), waiter_);
  in_transaction([&](Ledger &ledger) {
    const PullPlan plan = plan_pull(order_, *reader_);
    chunk_count_ = static_cast<int>(plan.chunks.size());
    ledger.record_plan(pull_id(), plan);
  });
  if (order_.kind == OrderKind::kRun)
    start_workers();
  call([&]() noexcept { shared_pull_enter_phase(pull_, kPhasePlanned); });
}

bool Coordinator::start_worker() {
  WorkerArgs args = {handle_, 0, -1};
  BackgroundWorkerHandle *const worker =
      call([&]() noexcept { return background_start_in_slot(pull_, &args); });
  if (worker != nullptr)
    registered_.push_back({worker, args.slot});
  return worker != nullptr;
}

void Coordinator::start_workers() {
  const int wanted = std::min(order_.request.workers, chunk_count_);
  int started = 0;
  while (started < wanted && start_worker())
    started++;
  pg_atomic_write_u32(&pull_->workers_wanted, static_cast<uint32>(wanted));
  pg_atomic_write_u32(&pull_->workers_started, static_cast<uint32>(started));
  pg_atomic_write_u32(&pull_->works_itself, wanted > 0 && started == 0 ? 1 : 0);
}

// No background worker slot is free: better slow than not at all.
void Coordinator::work_itself() {
  const int slot = call([&]() noexcept { return shared_pull_reserve_slot(pull_, MyProcPid); });
  pin_worker_session(order_);
  call([&]() noexcept { shared_pull_enter_slot(pull_, slot); });
  static_cast<void>(run_worker({pull_, slot, nullptr, order_, order_.source}));
  call([&]() noexcept {
    shared_pull_leave_slot(pull_, slot, kSlotFree);
    pg_atomic_write_u32(&pull_->works_itself, 0);
  });
}

void Coordinator::mark_running() {
  if (!is_running_ && pg_atomic_read_u32(&pull_->has_joined) != 0) {
    in_transaction([&](Ledger &ledger) { ledger.mark_running(pull_id()); });
    is_running_ = true;
  }
}

// A worker that could not start (no memory, no process) never takes its slot.
void Coordinator::release_unstarted_slots() {
  for (const Registered &worker : registered_)
    if (shared_pull_slot_state(pull_, worker.slot) == kSlotReserved &&
        pull_->slots[worker.slot].launcher_pid == MyProcPid &&
        call([&]() noexcept { return background_has_ended(worker.handle); }))
      shared_pull_leave_slot(pull_, worker.slot, kSlotLost);
}

void Coordinator::fail_lost_workers() {
  release_unstarted_slots();
  for (int slot = 0; slot < kMaxWorkers; slot++) {
    if (shared_pull_slot_state(pull_, slot) == kSlotLost) {
      throw Error("57P01", "a background worker of the pull was terminated", "",
                  "The server log says why, if nobody terminated it on purpose.");
    }
  }
}

bool Coordinator::is_done() {
  bool done = false;
  in_transaction([&](Ledger &ledger) {
    const Ledger::Totals totals = ledger.totals(pull_id());
    done = totals.done_count == totals.chunk_count;
  });
  return done;
}

// A created pull whose workers do not come keeps the source from cleaning up dead rows.
void Coordinator::throw_if_abandoned() {
  idle_ms_ = shared_pull_has_workers(pull_) ? 0 : idle_ms_ + kLookAgainMs;
  if (idle_ms_ > order_.snapshot_hold_ms) {
    throw Error("55000", "nobody has worked on the pull for parallel_loader.snapshot_hold",
                "Its snapshot of the source was let go.");
  }
}

void Coordinator::supervise() {
  for (;;) {
    if (shared_pull_stop_reason(pull_) != kStopNone)
      throw Stopped();
    fail_lost_workers();
    if (pg_atomic_read_u32(&pull_->works_itself) != 0)
      work_itself();
    mark_running();
    const bool has_workers = shared_pull_has_workers(pull_);
    const bool all_counted =
        pg_atomic_read_u32(&pull_->chunks_done) >= static_cast<uint32>(chunk_count_);
    if ((all_counted || !has_workers) && is_done())
      break;
    if (order_.kind == OrderKind::kCreate) {
      throw_if_abandoned();
    } else if (!has_workers && shared_pull_stop_reason(pull_) == kStopNone &&
               !shared_pull_has_workers(pull_) && !is_done()) {
      fail_lost_workers();
      throw Error(sqlstate::kInternalError, "workers have left chunks behind");
    }
    call([]() noexcept { latch_sleep(kLookAgainMs); });
  }
  reader_.reset(); // every chunk has been read: let the snapshot go
}

// Waits until every worker has gone; they are told again, and told harder, until they do.
void Coordinator::clear_away_workers() {
  constexpr long kStepMs = 100;
  for (long waited_ms = 0;; waited_ms += kStepMs) {
    release_unstarted_slots();
    if (!shared_pull_has_workers(pull_))
      return;
    call([&]() noexcept {
      shared_pull_stop_workers(pull_, 0);
      if (waited_ms >= 3000)
        shared_pull_terminate_workers(pull_);
      latch_sleep(kStepMs);
    });
  }
}

// So that the worker slots are free again for whoever hears of the end.
void Coordinator::wait_for_processes() {
  constexpr long kStepMs = 5;
  constexpr long kPatienceMs = 2000;
  for (long waited_ms = 0; waited_ms < kPatienceMs; waited_ms += kStepMs) {
    const bool is_over = std::ranges::all_of(registered_, [](const Registered &worker) {
      return call([&]() noexcept { return background_has_ended(worker.handle); });
    });
    if (is_over)
      return;
    call([]() noexcept { latch_sleep(kStepMs); });
  }
}

void Coordinator::end(PullEnd end, const ErrorReport *report) {
  reader_.reset();
  wait_for_processes();
  if (pull_id() != 0) {
    in_transaction([&](Ledger &ledger) {
      ledger.end_pull(pull_id(), end, report != nullptr ? error_report_sqlstate(report) : "",
                      report != nullptr ? report->message : "");
      call([]() noexcept { session_force_flush(); });
    });
  }
}

void locate(const SharedPull *pull, ErrorReport &report) {
  if (pull->pull_id != 0) {
    const std::string sentence = "Pull " + std::to_string(pull->pull_id) + " failed.";
    error_report_add_detail(&report, sentence.c_str());
  }
}

// A pull that was stopped without an error of its own gets the reason as one.
void explain_stop(SharedPull *pull) {
  ErrorReport report;
  const PullStop reason = shared_pull_stop_reason(pull);
  error_report_set(&report, "57014",
                   reason == kStopLeader ? "the session that waited for the pull has ended"
                                         : "canceling pull due to user request",
                   "", "");
  shared_pull_fail(pull, &report, reason);
}

// Runs the pull to its end; returns false when it did not get there.
bool run_pull(Coordinator &coordinator, SharedPull *pull) {
  ErrorReport report;
  PullStop reason = kStopFailed;
  try {
    coordinator.record();
    coordinator.plan();
    coordinator.supervise();
    return true;
  } catch (const Stopped &) {
    return false;
  } catch (const PgError &error) {
    report = error.report();
    reason = error.is_cancel() ? kStopCancelled : kStopFailed;
  } catch (...) {
    describe_current_exception(report);
  }
  if (shared_pull_stop_reason(pull) == kStopNone) { // else a stop interrupted us, by a cancel
    locate(pull, report);
    shared_pull_fail(pull, &report, reason);
  }
  return false;
}

void run_coordinator(SharedPull *pull, dsm_handle handle) {
  Coordinator coordinator(pull, handle);
  const bool is_done = run_pull(coordinator, pull);
  call([]() noexcept {
    session_abort();
    session_hold_cancel();
  });
  if (is_done) {
    coordinator.end(PullEnd::kDone, nullptr);
  } else {
    explain_stop(pull);
    ErrorReport report;
    shared_pull_error(pull, &report);
    coordinator.clear_away_workers();
    coordinator.end(shared_pull_stop_reason(pull) == kStopFailed ? PullEnd::kFailed
                                                                 : PullEnd::kCancelled,
                    &report);
    call([&]() noexcept { session_log_failure(pull->pull_id, report.message); });
  }
  call([&]() noexcept { shared_pull_enter_phase(pull, kPhaseEnded); });
}

} // namespace

} // namespace parallel_loader

extern "C" PGDLLEXPORT void parallel_loader_coordinator_main(Datum handle);

void parallel_loader_coordinator_main(Datum argument) {
  using namespace parallel_loader;
  const dsm_handle handle = DatumGetUInt32(argument);
  SharedPull *pull = background_attach(handle);
  background_enter_coordinator(pull);
  background_connect(pull);
  entry([&] {
    call([]() noexcept { session_pin_settings(nullptr); });
    run_coordinator(pull, handle);
  });
  proc_exit(0);
}
