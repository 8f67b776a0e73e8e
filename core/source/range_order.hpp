// range_order: whether ranges mean the same on both sides, which depends on how their bounds are
// ordered.
#pragma once

#include "core/source/types.hpp"

#include <string>

namespace parallel_loader {

/// What a difference is asked for.
enum class OrderRule {
  kSame = 1,   // none at all
  kSameValues, // none that could make another value of the same text
};

/// Returns an empty string unless a range or multirange, at any depth of the two types, is ordered
/// otherwise on the destination, in a way that matters to `rule`; else the reason, worded as those
/// of why_not_binary.
///
/// Both receive and input functions order the bounds anew: bounds that are equal here make the
/// range `empty`, ranges of a multirange that overlap here are merged, and a canonical function may
/// write others.  Bounds in the wrong order are an error, so an order that tells the same values
/// apart may differ, but for multiranges.
[[nodiscard]] std::string why_other_ranges(const Types &source, TypeOid source_type,
                                           const Types &destination, TypeOid destination_type,
                                           OrderRule rule);

} // namespace parallel_loader
