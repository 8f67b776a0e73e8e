#include "core/verify/fingerprint.hpp"

#include <algorithm>

namespace parallel_loader {

static constexpr int64_t kMostBuckets = INT32_MAX; // as width_bucket returns them

std::string fingerprint_statement(const FingerprintPlan &plan, std::string_view from_item,
                                  size_t first, size_t last) {
  std::string where = plan.key ? plan.key->condition(plan.boundaries, first, last) : std::string();
  // The line break ends a comment that the filter may end with.
  if (!plan.filter.empty())
    where += (where.empty() ? "(" : " AND (") + plan.filter + "\n)";
  const std::string bucket = plan.key ? plan.key->bucket(plan.boundaries) : "0";
  return "SELECT bucket, pg_catalog.count(*), pg_catalog.sum(hash) FROM (SELECT " + bucket +
         " AS bucket, " + plan.row_hash + " AS hash FROM " + std::string(from_item) +
         (where.empty() ? "" : " WHERE " + where) + ") AS hashed GROUP BY bucket";
}

void add_fingerprints(Fingerprints &fingerprints, const Rows &rows) {
  for (size_t row = 0; row < rows.size(); ++row) {
    const int64_t bucket =
        rows.is_null(row, 0) ? kNullBucket : rows.required_integer(row, 0, 0, kMostBuckets);
    fingerprints[bucket] = {rows.required_integer(row, 1, 0), rows.text(row, 2)};
  }
}

std::vector<std::pair<size_t, size_t>> deal_buckets(size_t bucket_count, size_t parts) {
  const size_t run_count = std::clamp<size_t>(parts, 1, std::max<size_t>(bucket_count, 1));
  std::vector<std::pair<size_t, size_t>> runs;
  for (size_t run = 0; run < run_count; ++run)
    runs.emplace_back(bucket_count * run / run_count, bucket_count * (run + 1) / run_count - 1);
  return runs;
}

} // namespace parallel_loader
