#include "extension/coordinator/watchdog.hpp"

#include "core/base/list.hpp"

#include <cmath>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/database_text.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/throttle.hpp"
#include "extension/server/shared/wait_info.hpp"
#include "extension/server/shared/worker_slots.hpp"

namespace parallel_loader {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kStuckAfter{10};
constexpr seconds kDescribeEvery{10};
constexpr seconds kAskFor{5}; // how long the source may take to say what it waits for
constexpr double kRateMemoryS = 5;
constexpr size_t kMostTextBytes = 2000; // of what the source says its sessions wait for

// Bounds all that a session does together, so that a dead network does not hold the coordinator.
class DeadlineWaiter final : public Waiter {
public:
  DeadlineWaiter(Waiter &waiter, milliseconds limit)
      : waiter_(waiter), deadline_(Clock::now() + limit) {}

  Woke wait(int fd, Want want, milliseconds timeout) override {
    const auto left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now());
    if (left <= milliseconds::zero())
      throw Error("57014", "no answer within " + std::to_string(kAskFor.count()) + " s");
    return waiter_.wait(fd, want, timeout < milliseconds::zero() ? left : std::min(left, timeout));
  }

  void nap(std::chrono::microseconds time) override { waiter_.nap(time); }

private:
  using Clock = std::chrono::steady_clock;
  Waiter &waiter_;
  Clock::time_point deadline_;
};

// The session's own search path holds: no operator is named without its schema.
// A role sees of others' sessions that they are there and what blocks them, not their waits.
std::string source_sql(const std::vector<int> &backends) {
  return "SELECT a.pid, a.state, a.wait_event_type, a.wait_event, "
         "pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(a.pid), ', ') "
         "FROM pg_catalog.pg_stat_activity AS a WHERE a.pid OPERATOR(pg_catalog.=) ANY "
         "('{" +
         number_list(backends) + "}'::pg_catalog.int4[]) ORDER BY a.pid";
}

std::string describe_backend(const Rows &rows, size_t row) {
  std::string text = "backend " + rows.text(row, 0) + " of the source";
  if (!rows.is_null(row, 2))
    text += " waits for " + rows.text(row, 2) + ": " + rows.text(row, 3);
  else
    text += " is " + (rows.is_null(row, 1) ? "there" : rows.text(row, 1));
  if (!rows.text(row, 4).empty())
    text += ", blocked by " + rows.text(row, 4);
  return text;
}

} // namespace

void Watchdog::look() {
  const Clock::time_point now = Clock::now();
  // Not what is shown: that stands still while a chunk is read again after a failure.
  const auto bytes = static_cast<int64_t>(pg_atomic_read_u64(&pull_->bytes_moved));
  measure_rate(bytes, now);
  const bool is_held_back =
      pg_atomic_read_u32(&pull_->is_paused) != 0 || throttle_holds_back(pull_);
  if (bytes != last_bytes_ || is_held_back) {
    last_bytes_ = bytes;
    moved_at_ = now;
    if (is_stuck_)
      shared_pull_set_waiting(pull_, "");
    is_stuck_ = false;
    return;
  }
  if (now - moved_at_ < kStuckAfter || now - described_at_ < kDescribeEvery ||
      !worker_slots_any_used(pull_))
    return;
  const std::string text = to_database_text(describe_wait(), kMostTextBytes);
  shared_pull_set_waiting(pull_, text.c_str());
  if (!is_stuck_)
    call([&]() noexcept { session_log_stall(pull_->pull_id, text.c_str()); });
  is_stuck_ = true;
  described_at_ = Clock::now();
}

// An average that forgets what was before the last seconds.
void Watchdog::measure_rate(int64_t bytes, Clock::time_point now) {
  const double elapsed = std::chrono::duration<double>(now - measured_at_).count();
  if (elapsed < 0.4)
    return;
  const double current = static_cast<double>(bytes - measured_bytes_) / elapsed;
  const auto known = static_cast<double>(pg_atomic_read_u64(&pull_->bytes_per_second));
  const double weight = known == 0 ? 1 : 1 - std::exp(-elapsed / kRateMemoryS);
  pg_atomic_write_u64(&pull_->bytes_per_second,
                      static_cast<uint64>(known + (current - known) * weight));
  measured_bytes_ = bytes;
  measured_at_ = now;
}

// What this server knows of its workers; for those that wait for bytes, what the source knows.
std::string Watchdog::describe_wait() {
  std::string text;
  const auto add = [&](const std::string &part) { add_to_list(text, part, "; "); };
  bool is_source_awaited = false;
  std::vector<int> backends;
  for (WorkerSlot &slot : pull_->slots) {
    const int pid = slot.pid;
    if (pid == 0)
      continue;
    const WaitInfo wait = call([&]() noexcept { return wait_info_of(pid); });
    if (wait.is_for_socket && pg_atomic_read_u32(&slot.chunk) == 0) {
      add("worker " + std::to_string(pid) + " waits before a retry");
    } else if (wait.is_for_socket) {
      is_source_awaited = true;
      if (const uint32 backend = pg_atomic_read_u32(&slot.source_pid); backend != 0)
        backends.push_back(static_cast<int>(backend));
    } else if (wait.text[0] != '\0') {
      add(wait.text);
    }
  }
  if (is_source_awaited)
    add(describe_sources(backends));
  return text.empty() ? "no known wait" : text;
}

std::string Watchdog::describe_sources(const std::vector<int> &backends) {
  DeadlineWaiter waiter(waiter_, kAskFor);
  try {
    SourceSession source = SourceSession::open(request_.source.conninfo, "parallel_loader watchdog",
                                               request_.source.password_rule, waiter);
    if (backends.empty())
      return "a session on the source";
    const Rows rows = source.connection().exec(source_sql(backends));
    std::string text;
    for (size_t row = 0; row < rows.size(); row++)
      add_to_list(text, describe_backend(rows, row), "; ");
    return text.empty() ? "sessions that the source no longer has" : text;
  } catch (const Error &error) {
    return "the source, which does not answer: " + error.message();
  }
}

} // namespace parallel_loader
