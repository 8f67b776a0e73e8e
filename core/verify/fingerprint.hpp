// fingerprint: number and hash of the rows in each range, whatever their order.
#pragma once

#include "core/verify/bucket_key.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parallel_loader {

/// The sum of the rows' hashes: a row that is there twice counts twice.
struct Fingerprint {
  int64_t row_count = 0;
  std::string hash_sum = "0";

  friend bool operator==(const Fingerprint &, const Fingerprint &) = default;
};

/// By the range's number, from 0; kNullBucket has the rows whose key is NULL.
using Fingerprints = std::map<int64_t, Fingerprint>;
inline constexpr int64_t kNullBucket = -1;

/// What is compared.  With a key there are boundaries; without, one range is everything.
struct FingerprintPlan {
  std::optional<BucketKey> key = std::nullopt;
  std::vector<Boundary> boundaries = {};
  std::string row_hash;
  std::string filter; // SQL condition of the caller, or empty

  [[nodiscard]] size_t bucket_count() const noexcept { return boundaries.size() + 1; }
};

/// The statement that takes the fingerprints of buckets `first` to `last` of a table.
[[nodiscard]] std::string fingerprint_statement(const FingerprintPlan &plan,
                                                std::string_view from_item, size_t first,
                                                size_t last);

/// Adds what that statement returned.
void add_fingerprints(Fingerprints &fingerprints, const Rows &rows);

/// Deals `bucket_count` buckets out as `parts` runs of neighbours, first and last of each.
[[nodiscard]] std::vector<std::pair<size_t, size_t>> deal_buckets(size_t bucket_count,
                                                                  size_t parts);

} // namespace parallel_loader
