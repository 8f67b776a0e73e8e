// caller_source: the sessions that a caller's own session, without any worker, has on the source.
#pragma once

#include "extension/bridge/latch_waiter.hpp"
#include "extension/bridge/request.hpp"
#include "extension/bridge/source_reader.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace parallel_loader {

/// Opens sessions that serve the caller's interrupts while they wait.  Outlives them.
class CallerSource {
public:
  /// `role` is how the sessions name themselves to the source.
  CallerSource(const Request &request, std::string_view role);

  /// A session on the request's snapshot, or on a new one.  Throws as SourceReader does.
  [[nodiscard]] std::unique_ptr<SourceReader> open();
  /// A session on this snapshot.
  [[nodiscard]] std::unique_ptr<SourceReader> open_on(const HeldSnapshot &snapshot);

  /// Ends the queries that these processes of the source at `place` run.  Gives up on a source that
  /// cannot be reached within two seconds: queries whose client has gone end some time.
  void cancel(std::span<const int> pids, const SourcePlace &place);

private:
  const Request &request_;
  std::string role_;
  pg_atomic_uint32 never_stopped_;
  LatchWaiter waiter_;
};

} // namespace parallel_loader
