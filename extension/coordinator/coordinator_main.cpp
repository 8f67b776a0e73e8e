// coordinator_main: a coordinator's process from its start to its end, good or bad.
#include "extension/bridge/boundary.hpp"
#include "extension/bridge/read_secret.hpp"
#include "extension/coordinator/coordinator.hpp"
#include "extension/coordinator/run_coordinator.hpp"
#include "extension/server/process/background.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/mailbox.hpp"

extern "C" {
#include "storage/ipc.h"
}

namespace parallel_loader {

namespace {

// A resume that is refused leaves the pull what it was.
void locate(const Coordinator &coordinator, ErrorReport &report) {
  if (coordinator.pull_id() == 0)
    return;
  const std::string sentence = "Pull " + std::to_string(coordinator.pull_id()) +
                               (coordinator.has_begun() ? " failed." : " was not resumed.");
  error_report_add_detail(&report, sentence.c_str());
}

// A pull that was stopped without an error of its own gets the reason as one.
void explain_stop(SharedPull *pull) {
  ErrorReport report;
  const PullStop reason = call([&]() noexcept { return mailbox_take_stop(pull); });
  error_report_set(&report, "57014",
                   reason == kStopWaitingSession ? "the call that waited for the pull has ended"
                                                 : "canceling pull due to user request",
                   "", "");
  shared_pull_fail(pull, &report, reason);
}

// Runs it to its end; returns false when it did not get there, after `fail`, which tells everybody
// why, unless a stop has told that.
template <class AnyCoordinator, class Fail>
bool run_to_end(AnyCoordinator &coordinator, SharedPull *pull, Fail fail) {
  ErrorReport report;
  PullStop reason = kStopFailed;
  try {
    coordinator.begin();
    coordinator.supervise();
    return mailbox_close_for_done(pull);
  } catch (const Stopped &) {
    return false;
  } catch (const PgError &error) {
    report = error.report();
    reason = error.is_cancel() ? kStopCancelled : kStopFailed;
  } catch (...) {
    describe_current_exception(report);
  }
  if (mailbox_stop(pull) == kStopNone) // else a stop interrupted us, by a cancel
    fail(report, reason);
  return false;
}

bool run_pull(Coordinator &coordinator, SharedPull *pull) {
  return run_to_end(
      coordinator, pull,
      [&](ErrorReport &report, PullStop reason) {
        locate(coordinator, report);
        shared_pull_fail(pull, &report, reason);
      });
}

// Returns true if the snapshot is to be kept for a resume.
bool close_failed_pull(Coordinator &coordinator, SharedPull *pull) {
  explain_stop(pull);
  ErrorReport report;
  shared_pull_error(pull, &report);
  coordinator.workers().clear_away();
  const bool has_failed = mailbox_stop(pull) == kStopFailed;
  const bool is_worth_holding = has_failed && coordinator.is_worth_holding();
  if (!is_worth_holding)
    coordinator.drop_snapshot();
  call([&]() noexcept {
    session_log_failure(pull->pull_id, coordinator.has_begun(), report.message);
  });
  coordinator.end(has_failed ? PullEvent::kFailure : PullEvent::kCancel, &report, is_worth_holding);
  return is_worth_holding;
}

// Returns false when all pulls of the run that are left end with an error.
bool run_pulls(RunCoordinator &coordinator, SharedPull *run) {
  return run_to_end(
      coordinator, run,
      [&](ErrorReport &report, PullStop reason) {
        if (coordinator.pull_id() != 0 && pg_atomic_read_u32(&run->pull_count) <= 1)
          error_report_add_detail(
              &report, ("Pull " + std::to_string(coordinator.pull_id()) + " failed.").c_str());
        shared_pull_replace_error(run, &report);
        mailbox_post_stop(run, reason);
      });
}

void close_failed_run(RunCoordinator &coordinator, SharedPull *run) {
  explain_stop(run);
  ErrorReport report;
  shared_pull_error(run, &report);
  coordinator.workers().clear_away();
  const bool has_failed = mailbox_stop(run) == kStopFailed;
  call([&]() noexcept {
    session_log_failure(run->pull_id, coordinator.has_begun(), report.message);
  });
  coordinator.end(has_failed ? PullEvent::kFailure : PullEvent::kCancel, &report);
}

void run_run_coordinator(SharedPull *run, dsm_handle handle, Request request) {
  RunCoordinator coordinator(run, handle, std::move(request));
  const bool is_done = run_pulls(coordinator, run);
  call([]() noexcept {
    session_abort();
    session_hold_cancel();
    session_limit_locks(false);
  });
  if (is_done) {
    coordinator.workers().clear_away(); // some may wait for the end of a pause
    coordinator.end(PullEvent::kAllDone, nullptr);
  } else
    close_failed_run(coordinator, run);
  if (coordinator.is_worth_holding())
    coordinator.hold_snapshot();
  else
    coordinator.drop_snapshot();
}

void run_coordinator(SharedPull *pull, dsm_handle handle, Request request) {
  Coordinator coordinator(pull, handle, std::move(request));
  const bool is_done = run_pull(coordinator, pull);
  call([]() noexcept {
    session_abort();
    session_hold_cancel();
  });
  if (is_done)
    coordinator.end(PullEvent::kAllDone, nullptr, false);
  else if (close_failed_pull(coordinator, pull))
    coordinator.hold_snapshot();
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
    call([]() noexcept {
      session_pin_settings(nullptr);
      session_commit_locally();
    });
    std::optional<Request> request = read_secret(pull->request, parse_request);
    if (!request)
      return; // the call that waited for the pull has ended meanwhile
    if (pull->is_run)
      run_run_coordinator(pull, handle, *std::move(request));
    else
      run_coordinator(pull, handle, *std::move(request));
  });
  proc_exit(0);
}
