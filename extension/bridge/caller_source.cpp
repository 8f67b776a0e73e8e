#include "extension/bridge/caller_source.hpp"

namespace parallel_loader {

CallerSource::CallerSource(const Request &request, std::string_view role)
    : request_(request), role_("parallel_loader " + std::string(role)), waiter_(&never_stopped_) {
  pg_atomic_init_u32(&never_stopped_, 0);
}

std::unique_ptr<SourceReader> CallerSource::open() {
  return open_on(request_.snapshot);
}

std::unique_ptr<SourceReader> CallerSource::open_on(const HeldSnapshot &snapshot) {
  return std::make_unique<SourceReader>(request_, request_.source, snapshot, role_, waiter_);
}

void CallerSource::cancel(std::span<const int> pids, const SourcePlace &place) {
  SourceAddress address = request_.source;
  if (place.is_known())
    address.conninfo = conninfo_at(address.conninfo, place);
  address.conninfo.set("connect_timeout", "2");
  // A waiter of its own: the other one may remember a socket that is closed, whose number the new
  // one gets.
  LatchWaiter waiter(&never_stopped_);
  try {
    SourceReader reader(request_, address, {}, role_, waiter);
    for (const int pid : pids)
      reader.session().connection().exec("SELECT pg_catalog.pg_cancel_backend($1::pg_catalog.int4)",
                                         {Param(std::to_string(pid))});
  } catch (const Error &) { // NOLINT(bugprone-empty-catch): what failed before is what is raised
  }
}

} // namespace parallel_loader
