// source: what the binary asks the source itself before the destination pulls from it.
#pragma once

#include "core/base/quote.hpp"
#include "core/connection/conninfo.hpp"
#include "core/connection/waiter.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/tables/table_argument.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// A name that was longer than a server's names are.
struct CutName {
  std::string given;
  std::string cut;

  friend bool operator==(const CutName &, const CutName &) = default;
};

/// The source's part of a pull.
struct SourceView {
  ConnInfo conninfo; // as libpq resolved it, for the destination to dial; with the password
  QualifiedName table;
  std::optional<std::string> key;    // as Key::text() has it; nullopt leaves it to the destination
  std::optional<std::string> filter; // SQL condition: the range and --where
  int64_t estimated_bytes = 0;       // what will travel, as far as it is known; 0: unknown
  std::vector<CutName> cut_names;    // of the table
};

/// Connects, looks the table up, reads --start and --end as values of its key.
///
/// Throws Failure: kSourceUnreachable when the source cannot be reached or is lost, kUsage when the
/// bounds cannot be used, kFailed when the table or the key column is missing; Error 57014 when
/// `waiter` is interrupted.
[[nodiscard]] SourceView inspect_source(const Options &options, const TableArgument &table,
                                        Waiter &waiter);

/// Reads a conninfo string or URI.  Throws Failure kUsage that names the server and not the text.
[[nodiscard]] ConnInfo parse_conninfo(std::string_view server, std::string_view text);

/// `range` AND `where`, each of which may be absent.
[[nodiscard]] std::optional<std::string> join_conditions(const std::optional<std::string> &range,
                                                         const std::optional<std::string> &where);

} // namespace parallel_loader
