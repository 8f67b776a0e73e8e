// mail_waiter: the coordinator's Waiter: looks into the pull's mail while it waits for the source.
#pragma once

#include <utility>

#include "extension/bridge/latch_waiter.hpp"
#include "extension/server/shared/mailbox.hpp"

namespace parallel_loader {

class MailWaiter final : public LatchWaiter {
public:
  explicit MailWaiter(SharedPull *pull) : LatchWaiter(&pull->stop), pull_(pull) {}

  /// Makes what was posted hold for the workers, at once.
  void read_mail() {
    call([&]() noexcept { mailbox_take_stop(pull_); });
    has_news_ = mailbox_take_limits(pull_) || has_news_;
  }
  [[nodiscard]] bool has_news() const noexcept { return has_news_; }
  /// True once after limits have changed: they are to be written down.
  [[nodiscard]] bool take_news() { return std::exchange(has_news_, false); }

private:
  void look_up() override { read_mail(); }

  SharedPull *pull_;
  bool has_news_ = false;
};

} // namespace parallel_loader
