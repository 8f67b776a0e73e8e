// local_check: what the local table and server mean for a pull.
#pragma once

#include "core/base/quote.hpp"
#include "core/check/finding.hpp"
#include "core/connection/executor.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace parallel_loader {

/// The local table, and what is known of the pull.
struct LocalCheck {
  uint32_t table = 0;
  QualifiedName name;
  std::string from_item;
  bool is_replica = false; // session_replication_role
  int workers = 1;
  int64_t source_bytes = 0; // 0: not known
  bool has_slots = true;    // for background workers of a pull, be they in use now
};

/// The rights to insert into `columns`, those left out that would be NULL and must not, identity
/// columns and sequences.
void check_local_columns(Executor &server, const LocalCheck &check,
                         std::span<const std::string> columns, Findings &findings);

/// Triggers, foreign keys, indexes, storage, and rows that are there already.
void check_local_table(Executor &server, const LocalCheck &check, Findings &findings);

/// Write-ahead log, disk, slots and time limits.  `server` sees all processes.
void check_local_server(Executor &server, const LocalCheck &check, Findings &findings);

} // namespace parallel_loader
