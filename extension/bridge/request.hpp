// request: all that a coordinator has to know of a pull, passed through shared memory.
#pragma once

#include "core/connection/conninfo.hpp"
#include "core/ledger/ledger.hpp"
#include "core/plan/range.hpp"
#include "core/source/source_session.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace parallel_loader {

/// Who moves the chunks.
enum class RequestKind {
  kRun = 1, // the coordinator starts workers
  kCreate,  // sessions come and bring workers: parallel_pull_work
  kResume,  // as kRun, for the open chunks of a pull that is in the ledger already
  kLook,    // nobody: the caller's session looks at both sides and changes nothing
};

/// parallel_loader.route: which way rows go into the table.
enum class RouteSetting { kAuto = 1, kCopy, kHeap };

/// How to reach the source.
struct SourceAddress {
  ConnInfo conninfo; // with the password
  PasswordRule password_rule = PasswordRule::kAny;
};

struct Request {
  RequestKind kind = RequestKind::kRun;
  SourceAddress source;
  PullRequest pull;
  std::string bound_type; // of start and end, see Bound::type
  HeldSnapshot snapshot;  // given by the caller (its name alone), or the run's; no name: a new one
  int64_t snapshot_hold_ms = 0;
  int64_t retry_budget_ms = 0;
  int64_t run_wait_ms = -1; // for the next pull of its run; -1: as the coordinator sees fit
  RouteSetting route = RouteSetting::kAuto;
  int64_t resume_id = 0;     // kResume: the pull
  std::string window;        // of an append: see append.hpp; empty: none
  bool new_snapshot = false; // kResume: go on under a snapshot of now
};

/// A request as bytes; they hold the password, so they go to memory only, and are to be wiped.
/// parse_request and parse_address throw Error XX000 for bytes that are not such a request's, as
/// those that have been wiped.  No enum of a request has the value 0.
[[nodiscard]] std::string serialize_request(const Request &request);
[[nodiscard]] Request parse_request(std::string_view bytes);

[[nodiscard]] std::string serialize_address(const SourceAddress &address);
[[nodiscard]] SourceAddress parse_address(std::string_view bytes);

} // namespace parallel_loader
