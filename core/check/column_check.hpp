// column_check: what a pull would make of the columns of two tables.
#pragma once

#include "core/check/finding.hpp"
#include "core/source/column_map.hpp"
#include "core/verify/bucket_key.hpp"

#include <optional>
#include <string>
#include <vector>

namespace parallel_loader {

struct ColumnCheck {
  const TablePair &tables;
  const std::optional<std::vector<std::string>> &columns; // as the caller names them
  FormatChoice format;
};

/// Each column that keeps the pull from being planned, then types that differ and the format.
/// Returns what would travel; nullopt when nothing can.
std::optional<ColumnMap> check_columns(const ColumnCheck &check, Findings &findings);

} // namespace parallel_loader
