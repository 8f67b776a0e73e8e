// source: what the program asks the source itself before the destination pulls from it.
#pragma once

#include "core/connection/conninfo.hpp"
#include "core/connection/waiter.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/run/mover.hpp"
#include "orchestrator/tables/table_selection.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// A selected table, and what is to be done with it.
struct TableJob {
  uint32_t source_oid = 0;
  TableTask task;    // its destination as it was given: not looked up yet
  int64_t bytes = 0; // what will travel, as far as it is known; 0: unknown
  bool is_whole = true;
};

struct SourceTables {
  ConnInfo address; // as libpq resolved it, for the destination to dial; with the password
  ServerView server;
  std::string identity; // see kIdentity
  std::vector<TableJob> jobs;
  std::vector<MissingTable> missing;
  std::vector<CutName> cut_names;
};

/// Connects, looks the tables up, reads --start and --end as values of the key of each.
///
/// Throws Failure: kSourceUnreachable when the source cannot be reached or is lost, kUsage when
/// bounds, names or options for one table cannot be used; Error 57014 when `waiter` is interrupted.
[[nodiscard]] SourceTables inspect_source(const Options &options, Waiter &waiter);

/// Connects, and returns the address and the server alone.  Throws as inspect_source() does.
[[nodiscard]] SourceTables reach_source(const Options &options, Waiter &waiter);

/// Reads a conninfo string or URI.  Throws Failure kUsage that names the server and not the text.
[[nodiscard]] ConnInfo parse_conninfo(std::string_view server, std::string_view text);

/// How the destination server is to reach the source: with the password.
[[nodiscard]] std::string source_for_destination(const Options &options,
                                                 const SourceTables &source);

/// The hint for a source that the destination server cannot reach, as the options say how it is to.
void explain_unreachable_source(FailureView &failure, const Connections &connections);

/// `range` AND `where`, each of which may be absent.
[[nodiscard]] std::optional<std::string> join_conditions(const std::optional<std::string> &range,
                                                         const std::optional<std::string> &where);

} // namespace parallel_loader
