// session_pool: threads with a session each on the destination, working on one pull.
#pragma once

#include "core/connection/conninfo.hpp"
#include "core/connection/waiter.hpp"
#include "orchestrator/base/failure.hpp"
#include "orchestrator/run/wakeup.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace parallel_loader {

class SessionPool {
public:
  /// Starts `session_count` sessions, which work until the pull has no chunk left or they fail.
  SessionPool(const ConnInfo &destination, int64_t pull_id, int session_count);
  SessionPool(const SessionPool &) = delete;
  SessionPool &operator=(const SessionPool &) = delete;
  /// Abandons the sessions that still work.
  ~SessionPool();

  /// Readable once all sessions have ended.
  [[nodiscard]] int finished_fd() const noexcept { return finished_.fd(); }
  [[nodiscard]] bool is_finished() const noexcept { return finished_.is_raised(); }

  /// Closes the sessions without waiting for their calls; the destination ends their work.
  void abandon() noexcept { abandoned_.raise(); }

  /// What ended sessions, in order of time; the same failure of several sessions stands here once.
  /// Their status tells a session that was lost from a source that the destination cannot reach.
  [[nodiscard]] std::vector<Failure> failures() const;

  /// What the server has told sessions since the last call; the same of several sessions once.
  [[nodiscard]] std::vector<std::string> take_notices();

private:
  void run_session(const ConnInfo &destination, int64_t pull_id) noexcept;
  void work(const ConnInfo &conninfo, int64_t pull_id, Waiter &waiter);
  void add_failure(const Failure &failure);
  void add_notice(std::string_view message, std::string_view hint);

  Wakeup abandoned_;
  Wakeup finished_;
  std::atomic<int> working_count_;
  mutable std::mutex mutex_;
  std::vector<Failure> failures_;     // under mutex_, like the next two
  std::vector<std::string> notices_;  // all there were
  size_t notices_taken_ = 0;          // how many of them were handed out
  std::vector<std::jthread> threads_; // last: they end before what they use
};

} // namespace parallel_loader
