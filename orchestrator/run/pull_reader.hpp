// pull_reader: the extension's views of pulls and chunks, read.
#pragma once

#include "orchestrator/run/destination.hpp"
#include "orchestrator/run/run_view.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace parallel_loader {

/// All pulls of the run, or of all runs for 0, the oldest first.
[[nodiscard]] std::vector<PullView> read_run(Destination &destination, int64_t run_id);
/// These pulls; those that are not there are left out.
[[nodiscard]] std::vector<PullView> read_pulls(Destination &destination,
                                               std::span<const int64_t> pull_ids);
/// The pull's chunks, in their order.
[[nodiscard]] std::vector<ChunkView> read_chunks(Destination &destination, int64_t pull_id);
[[nodiscard]] int read_chunk_count(Destination &destination, int64_t pull_id);

} // namespace parallel_loader
