// plan: cuts what a pull reads into chunks.
#pragma once

#include "core/plan/range.hpp"
#include "core/source/filter_path.hpp"

#include <cstdint>
#include <optional>
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
  uint32_t relation_oid = 0; // of `relation`, or of the pull's own table, on the source

  friend bool operator==(const PlannedChunk &, const PlannedChunk &) = default;
};

/// Whether the partitions of a table are cut, or the table as one.
enum class LeafRule { kByLeaf, kAsOne };

struct PlanRequest {
  const SourceTable &table;
  const Key &key;
  Range range;        // what the whole pull covers; open on both sides is the whole table
  std::string filter; // SQL condition of the caller, or empty
  FilterPath filter_path = {};
  int workers = 1;
  int64_t chunk_bytes = 0;                                        // wanted size of a chunk
  std::optional<std::vector<std::string>> columns = std::nullopt; // that travel; nullopt: all
  LeafRule leaf_rule = LeafRule::kByLeaf;
};

/// Returns the chunks of a pull, in key order; each row of `range` lies in exactly one of them.
///
/// A table is cut where the bytes of its rows lie, by a sample of less than one block in a hundred
/// (of a small table all blocks): about `chunk_bytes` a chunk, but several chunks for each worker
/// as long as they are not small.  Both outer chunks are open where the range is; a nullable key
/// gets a last chunk for the NULLs, unless one chunk takes all.  A range of an integer key that is
/// too small to show in the sample is cut by value.  Without an index on the key there
/// are no more chunks than workers.  A partitioned table is cut leaf by leaf when each leaf may
/// be read by its own name, without leaves that hold nothing of the range; else as one.  Of a view
/// or foreign table nothing is read: an integer range with two bounds is cut evenly, all else is
/// one chunk. Throws Error 0A000 for ctid on a source before 14 or on a table that is no heap.
[[nodiscard]] std::vector<PlannedChunk> plan_chunks(Executor &source, const PlanRequest &request);

} // namespace parallel_loader
