// pull_record: a pull in the ledger, as the coordinator that has its lock writes it.
#pragma once

#include "core/ledger/ledger.hpp"

#include <optional>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/server/base/error_report.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/shared_pull.hpp"

namespace parallel_loader {

/// As the ledger keeps it.
[[nodiscard]] PullError pull_error(const ErrorReport &report);

/// What the pull is, apart from the process that works on it and from the snapshot that it reads.
class PullRecord {
public:
  explicit PullRecord(SharedPull *pull) noexcept : pull_(pull) {}

  /// Records a new pull, whose lock this process then has.
  void create(const PullRequest &request);
  /// Makes this process, which has the pull's lock, the one that goes on with it.
  void resume(int64_t segment, const PullPlan &plan);
  /// The same where every chunk is done.
  void reopen(int64_t segment);

  /// False before create or resume has committed: then the pull is not ours to end.
  [[nodiscard]] bool is_ours() const noexcept { return state_.has_value(); }
  [[nodiscard]] PullState state() const { return state_.value(); }

  /// Throws PgError 55000 when the ledger was removed.
  void require_there();
  /// Writes what has happened.  Throws Error 55000 when the ledger has another state than this
  /// process has written.
  void change(PullEvent event);
  /// Ends a pause: the pull is again what it was before.
  void go_on();
  /// As `change`, for good, in the transaction of `ledger`; `report` is nullptr when no error ended
  /// the pull.
  void end(Ledger &ledger, PullEvent event, const ErrorReport *report);

  /// Runs `fn(Ledger &)` in a transaction of its own.
  template <class Fn> void in_transaction(Fn fn) {
    call([]() noexcept { session_begin(); });
    SpiExecutor executor(SpiMode::kWrite);
    Ledger ledger(executor);
    fn(ledger);
    call([]() noexcept { session_commit(); });
  }

private:
  [[nodiscard]] bool try_create(const PullRequest &request);

  SharedPull *pull_;
  std::optional<PullState> state_; // as the ledger has it
  PullState paused_from_ = PullState::kRunning;
};

} // namespace parallel_loader
