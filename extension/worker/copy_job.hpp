// copy_job: rows by the copy route: source stream → the server's COPY FROM → counts compared.
#pragma once

#include "core/connection/connection.hpp"
#include "core/ledger/ledger.hpp"

#include "extension/server/load/copy_from.hpp"
#include "extension/worker/row_meter.hpp"

#include <string>

namespace parallel_loader {

/// Moves the rows of a COPY on the source into a table that copy_from_check() has locked.
/// As run_row_job() otherwise.
[[nodiscard]] ChunkResult run_copy_job(const CopyTarget &target, const std::string &statement,
                                       Connection &source, RowMeter &meter);

} // namespace parallel_loader
