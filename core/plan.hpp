// plan: cuts what a pull reads into chunks.
#pragma once

#include "core/range.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace parallel_loader {

/// A chunk as it is planned.
struct PlannedChunk {
  Range range;
  std::string relation =
      {}; // the partition it is read from, `"s"."t"`; empty: the pull's own table
  int64_t row_estimate = 0;
  int64_t byte_estimate = 0; // with TOAST

  friend bool operator==(const PlannedChunk &, const PlannedChunk &) = default;
};

struct PlanRequest {
  const SourceTable &table;
  const Key &key;
  Range range;        // what the whole pull covers; open on both sides is the whole table
  std::string filter; // SQL condition of the caller, or empty
  int workers = 1;
  int64_t chunk_bytes = 0; // wanted size of a chunk
};

/// Returns the chunks of a pull, in key order; each row of `range` lies in exactly one of them.
///
/// An integer key that an index begins with is cut evenly between the lowest and highest key found;
/// without an index, the given bounds are cut, if there are two.  Both outer chunks are open where
/// the range is, and a nullable key gets a last chunk of its own for the NULLs when the range is
/// open on both sides.  Any other key, or none, makes one chunk. Reads the source through index
/// look-ups of min and max only.
[[nodiscard]] std::vector<PlannedChunk> plan_chunks(Executor &source, const PlanRequest &request);

/// Cuts the integers [low, high] into `pieces` ranges of even width; fewer when there are fewer
/// keys. The first range has no start and the last no end.  Safe over the whole span of int64_t.
[[nodiscard]] std::vector<Range> cut_evenly(int64_t low, int64_t high, int pieces);

} // namespace parallel_loader
