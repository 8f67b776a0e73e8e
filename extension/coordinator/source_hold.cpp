#include "extension/coordinator/source_hold.hpp"

#include "core/base/list.hpp"
#include "core/base/quote.hpp"
#include "core/source/durable_source.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/coordinator/turn.hpp"
#include "extension/server/base/socket_wait.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/worker_slots.hpp"

namespace parallel_loader {

// A pull of a whole table is where a later append may begin.
void SourceHold::begin(const PullRequest &pull, const PullPlan &plan) {
  is_standby_ = plan.identity.is_standby;
  leaves_mark_ =
      pull.kind == PullKind::kPull && !pull.start && !pull.end && !plan.relations.empty();
}

void SourceHold::add(const PullRequest &pull, const PullPlan &plan) {
  const bool had_mark = leaves_mark_;
  begin(pull, plan);
  leaves_mark_ = leaves_mark_ || had_mark;
}

bool SourceHold::end_durably() {
  bool is_durable = true;
  try {
    if (leaves_mark_) {
      source_.reader().session().end();
      is_durable = make_durable(source_.connection());
    }
  } catch (const Error &) { // every row has been read all the same
    is_durable = false;
  }
  close();
  return is_durable;
}

void SourceHold::require_alive() {
  try {
    source_.connection().require_open();
  } catch (const Error &error) {
    throw Error(
        error.sqlstate(),
        "the snapshot of pull " + std::to_string(pull_->pull_id) + " is lost: " + error.message(),
        error.detail(),
        is_standby_ ? "The source is a standby. To keep its replay from cancelling queries, set "
                      "hot_standby_feedback = on there, or raise max_standby_streaming_delay."
                    : "");
  }
}

// A session that is lost meanwhile is a lost snapshot, too.
bool SourceHold::has_waiters() {
  try {
    return source_.connection()
        .exec("SELECT EXISTS (SELECT FROM pg_catalog.pg_locks AS w WHERE NOT w.granted"
              " AND pg_catalog.pg_backend_pid() = ANY (pg_catalog.pg_blocking_pids(w.pid)))")
        .boolean(0, 0);
  } catch (const Error &) {
    require_alive();
    throw;
  }
}

bool SourceHold::is_in_the_way() {
  constexpr std::chrono::seconds kPatience{10};
  const Clock::time_point now = Clock::now();
  if (!source_.is_open() || now < next_look_)
    return false;
  next_look_ = now + std::chrono::seconds(1);
  if (!has_waiters())
    waited_since_.reset();
  else if (!waited_since_)
    waited_since_ = now;
  return waited_since_ && now - *waited_since_ >= kPatience;
}

std::vector<int> SourceHold::worker_backends() const {
  std::vector<int> backends;
  for (WorkerSlot &slot : pull_->slots)
    if (const uint32 backend = pg_atomic_read_u32(&slot.source_pid); backend != 0)
      backends.push_back(static_cast<int>(backend));
  return backends;
}

bool SourceHold::part_from_workers() {
  constexpr std::chrono::seconds kPatience{1};
  if (worker_slots_any_unread(pull_)) {
    note_unread();
    return false;
  }
  if (!is_open())
    return false;
  const std::vector<int> backends = worker_backends();
  if (!backends.empty() && Clock::now() - unread_at_ < kPatience)
    return false;
  end_backends(backends);
  return true;
}

// By name as well: behind a pooler a backend's number is not the source's.
void SourceHold::end_backends(const std::vector<int> &backends) {
  if (backends.empty())
    return;
  try {
    source_.connection().exec(
        "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity AS a"
        " WHERE a.pid IN (" +
        number_list(backends) +
        ") AND a.application_name = " + quote_literal(worker_session_name(pull_->pull_id)));
  } catch (const Error &) { // of another role's, or the source is gone: they end with their workers
  }
}

void SourceHold::begin_hold(int64_t hold_ms, MailWaiter &waiter) {
  waiter.heed(&pull_->mail.hold_end); // the pull's own stop has been heeded
  hold_ends_ = GetCurrentTimestamp() + hold_ms * 1000;
  pg_atomic_write_u64(&pull_->hold_ends, static_cast<uint64>(hold_ends_));
}

std::string SourceHold::why_not_held() {
  if (GetCurrentTimestamp() >= hold_ends_)
    return "parallel_loader.snapshot_hold has passed";
  if (pg_atomic_read_u32(&pull_->mail.hold_end) == kHoldGaveWay)
    return "another pull needed the background worker slot";
  try {
    require_alive();
    if (is_in_the_way())
      return "a session of the source waited for a lock that the pull held";
  } catch (const Error &error) {
    return "the source ended the session: " + error.message();
  }
  return {};
}

void SourceHold::sleep(MailWaiter &waiter) {
  const bool has_waited = waiter.take_waited();
  call([&]() noexcept {
    session_reset_memory();
    if (!has_waited)
      latch_sleep(kTurnMs);
  });
}

} // namespace parallel_loader
