// copy_route: rows of a COPY go through the server's own: source stream → the server's COPY FROM →
// counts compared.
#pragma once

#include "core/connection/connection.hpp"
#include "core/ledger/ledger.hpp"

#include "extension/worker/route.hpp"

namespace parallel_loader {

/// Moves the rows of a COPY on the source into a table that row_sink_check() has locked.
/// As move_rows() otherwise.
[[nodiscard]] ChunkResult move_by_copy_route(const RowSink &sink, const RowTask &task,
                                             Connection &source, RowMeter &meter);

} // namespace parallel_loader
