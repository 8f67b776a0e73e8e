// pull_control: the session that plans a pull, watches it and cancels it.
#pragma once

#include "core/connection/conninfo.hpp"
#include "orchestrator/run/destination.hpp"
#include "orchestrator/run/interrupt.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace parallel_loader {

class PullControl {
public:
  /// Connects to the destination.  Throws what Destination::open throws.
  PullControl(const ConnInfo &destination, const Interrupt &interrupt);
  PullControl(const PullControl &) = delete;
  PullControl &operator=(const PullControl &) = delete;
  /// Ends a pull that has not ended: nobody else would work on it, and it holds its snapshot.
  ~PullControl();

  [[nodiscard]] TableInfo find_table(const QualifiedName &name);

  /// Plans the pull.  From here on an interrupt leaves this session alone, so that it can cancel.
  /// Throws Failure kSourceUnreachable when the destination cannot reach the source,
  /// kDestinationUnreachable when it was itself lost, Error with its SQLSTATE else; Error 57014
  /// when interrupted.
  void create(const CopyRequest &request, NoticeHandler on_notice);
  [[nodiscard]] int64_t pull_id() const noexcept { return pull_id_; }

  /// Reads the pull.  A session that was lost is opened again, since the pull may go on without
  /// it; throws Failure kFailed with the reason of the loss when that cannot be done.
  [[nodiscard]] PullStatus read();
  /// Ends the pull.  A pull that has ended already, or a lost session, is left as it is.  Returns
  /// false when the destination refuses it; refusal() says why then.
  bool cancel() noexcept;
  [[nodiscard]] const std::optional<Error> &refusal() const noexcept { return refusal_; }

  [[nodiscard]] const std::string &schema() const noexcept { return destination_->schema(); }
  [[nodiscard]] std::string display() const { return destination_->display(); }

private:
  [[nodiscard]] PullStatus read_again_if_lost();
  void reopen(const Error &lost);

  const Interrupt &interrupt_;
  ConnInfo conninfo_;
  InterruptibleWaiter waiter_;
  std::optional<Destination> destination_; // always there; optional, as it can be replaced
  int64_t pull_id_ = 0;
  bool has_pull_ended_ = false;
  std::optional<Error> refusal_; // of the last cancel
};

} // namespace parallel_loader
