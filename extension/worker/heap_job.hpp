// heap_job: rows by the heap route: source stream → decoder → heap tuples → counts compared.
#pragma once

#include "core/connection/connection.hpp"
#include "core/ledger/ledger.hpp"

#include "extension/server/load/copy_from.hpp"
#include "extension/worker/row_meter.hpp"

#include <string>

namespace parallel_loader {

/// Moves the rows of a binary COPY on the source into a table that why_not_heap_route() has passed.
/// As run_row_job() otherwise.
[[nodiscard]] ChunkResult run_heap_job(const CopyTarget &target, const std::string &statement,
                                       Connection &source, RowMeter &meter);

} // namespace parallel_loader
