#include "extension/coordinator/planning.hpp"

#include "core/base/retry.hpp"

#include "extension/coordinator/pull_planner.hpp"
#include "extension/coordinator/resume_plan.hpp"

namespace parallel_loader {

namespace {

// What keeps others from reading a table may last, so waiting_for says it.
std::string lock_text(const Error &error) {
  constexpr std::string_view kCouldNot = "could not lock ";
  const bool is_named = error.message().starts_with(kCouldNot);
  return "a lock on " +
         (is_named ? error.message().substr(kCouldNot.size()) : "a table on the source") +
         ", which another session there has, or waits for";
}

// A session that waited in a queue for locks could be waited for by what stands before it: attempts
// are short, and repeated.
template <class Fn>
PullPlan retry_locks(SourceConnection &source, SharedPull *pull, const Request &request, Fn fn) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(request.retry_budget_ms);
  for (Backoff backoff;;) {
    try {
      PullPlan plan = fn();
      source.note_planned();
      shared_pull_set_waiting(pull, "");
      return plan;
    } catch (const Error &error) {
      if (!is_lock_trouble(error.sqlstate()) || Clock::now() >= end)
        throw;
      shared_pull_set_waiting(pull, lock_text(error).c_str());
    }
    source.leave_queue();
    source.rest(backoff.next());
  }
}

// What changes between a snapshot of ours and our locks costs nothing but another look.
// `fn(bool &is_new)` says whether the snapshot is ours.
template <class Fn> PullPlan look_again(SourceConnection &source, Fn fn) {
  constexpr int kAttempts = 5;
  for (int attempt = 1;; attempt++) {
    bool is_new = false;
    try {
      return fn(is_new);
    } catch (const SourceChanged &) {
      if (!is_new || attempt == kAttempts)
        throw;
    }
    source.close();
  }
}

PullPlan plan_open(SourceConnection &source, const Request &request) {
  PullPlan plan = plan_pull(request, source.reader());
  plan.bounds = source.reader().session().snapshot_bounds();
  return plan;
}

PullPlan open_and_plan(SourceConnection &source, const Request &request) {
  return look_again(
      source,
      [&](bool &is_new) {
        is_new = request.snapshot.name.empty();
        source.open(request, request.snapshot);
        return plan_open(source, request);
      });
}

PullPlan plan_untouched(SourceConnection &source, const Resume &resume) {
  Request anew = request_of_untouched(resume.request, resume.recorded);
  if (resume.snapshot == ResumeSnapshot::kSame)
    anew.snapshot = resume.recorded.plan.snapshot;
  PullPlan plan;
  try {
    plan = plan_open(source, anew);
  } catch (const SourceChanged &) {
    if (!may_take_new_snapshot(resume.recorded, 0))
      throw;
    source.close();
    anew.snapshot = {};
    plan = open_and_plan(source, anew);
  }
  plan.chunk_change = ChunkChange::kReplaced;
  return plan;
}

} // namespace

PullPlan plan_new(SourceConnection &source, SharedPull *pull, const Request &request) {
  return retry_locks(
      source, pull, request, [&] { return open_and_plan(source, request); });
}

PullPlan plan_joined(SourceConnection &source, const Request &request) {
  source.reader().begin_anew(request.pull.date_order);
  try {
    return plan_open(source, request);
  } catch (...) {
    source.take_back();
    throw;
  }
}

PullPlan plan_resumed(SourceConnection &source, SharedPull *pull, const Request &request,
                      const RecordedPull &recorded, const std::vector<ChunkRelation> &relations,
                      int done_count) {
  const auto plan_once = [&](bool &is_new) {
    const ResumeSnapshot snapshot = source.open_for_resume(request, recorded, done_count);
    is_new = snapshot == ResumeSnapshot::kNew;
    const Resume resume = {request, recorded, relations, snapshot};
    return done_count == 0 ? plan_untouched(source, resume) : plan_rest(resume, source.reader());
  };
  return retry_locks(source, pull, request, [&] { return look_again(source, plan_once); });
}

} // namespace parallel_loader
