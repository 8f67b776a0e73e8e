// source_check: what the source's settings, rights and load mean for a pull.
#pragma once

#include "core/check/finding.hpp"
#include "core/connection/executor.hpp"
#include "core/source/source_table.hpp"

#include <span>
#include <string>

namespace parallel_loader {

/// Version, encryption, standby, sessions that are left, time limits, life of snapshots.
void check_source_server(Executor &source, int workers, Findings &findings);

/// Row security that would hide rows.
void check_source_row_security(Executor &source, const SourceTable &table, Findings &findings);

/// The rights that the role lacks to read the columns, as a hint; empty when it has them.
[[nodiscard]] std::string missing_source_rights(Executor &source, const SourceTable &table,
                                                std::span<const std::string> columns);

/// Letters that one encoding has and the other has not.
void check_encodings(std::string_view source, std::string_view destination, Findings &findings);

} // namespace parallel_loader
