// caller_source: see caller_source.hpp.
#include "extension/caller_source.hpp"

namespace parallel_loader {

CallerSource::CallerSource(const Order &order, std::string_view role)
    : order_(order), role_("parallel_loader " + std::string(role)), waiter_(&never_stopped_) {
  pg_atomic_init_u32(&never_stopped_, 0);
}

std::unique_ptr<SourceReader> CallerSource::open() {
  std::optional<std::string> snapshot;
  if (!order_.snapshot.empty())
    snapshot = order_.snapshot;
  return std::make_unique<SourceReader>(order_, order_.source, snapshot, role_, waiter_);
}

std::unique_ptr<SourceReader> CallerSource::open_on(const std::string &snapshot) {
  return std::make_unique<SourceReader>(order_, order_.source, snapshot, role_, waiter_);
}

} // namespace parallel_loader
