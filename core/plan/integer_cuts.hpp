// integer_cuts: cuts an integer key by value where the rows themselves cannot be sampled.
#pragma once

#include "core/plan/range.hpp"

#include <cstdint>
#include <vector>

namespace parallel_loader {

/// Cuts the integers [low, high] into `pieces` ranges of even width; fewer when there are fewer
/// keys. The first range has no start and the last no end.  Safe over the whole span of int64_t.
[[nodiscard]] std::vector<Range> cut_evenly(int64_t low, int64_t high, int64_t pieces);

/// Cuts `range` evenly between its own bounds; in one piece when one of them is open.
[[nodiscard]] std::vector<Range> cut_between_bounds(const Range &range, int64_t pieces);

/// Cuts `range` evenly between the lowest and highest key that lie in it: two look-ups in an index
/// that begins with the key, which there must be.
[[nodiscard]] std::vector<Range> cut_between_keys(Executor &source, const SourceTable &table,
                                                  const Key &key, const Range &range,
                                                  int64_t pieces);

} // namespace parallel_loader
