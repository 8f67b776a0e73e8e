#include "core/plan/integer_cuts.hpp"

#include "core/base/quote.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

__extension__ typedef unsigned __int128 WideCount; // how many integers lie in a range: up to 2^64

WideCount count_between(int64_t low, int64_t high) {
  return static_cast<WideCount>(static_cast<uint64_t>(high) - static_cast<uint64_t>(low)) + 1;
}

std::vector<Range> within(const Range &range, std::vector<Range> pieces) {
  pieces.front().start = range.start;
  pieces.back().end = range.end;
  return pieces;
}

} // namespace

std::vector<Range> cut_evenly(int64_t low, int64_t high, int64_t pieces) {
  if (low >= high || pieces < 2)
    return {Range{}};
  const WideCount count = count_between(low, high);
  const WideCount piece_count = std::min(count, static_cast<WideCount>(pieces));

  std::vector<Range> ranges(1);
  for (WideCount piece = 1; piece < piece_count; ++piece) {
    const auto offset = static_cast<uint64_t>(count * piece / piece_count);
    const std::string boundary =
        std::to_string(static_cast<int64_t>(static_cast<uint64_t>(low) + offset));
    ranges.back().end = boundary;
    ranges.push_back({.start = boundary, .end = {}});
  }
  return ranges;
}

std::vector<Range> cut_between_bounds(const Range &range, int64_t pieces) {
  if (!range.start || !range.end)
    return {range};
  const Rows bounds(2, {range.start, range.end});
  const int64_t end = bounds.integer(0, 1);
  if (end == INT64_MIN) // nothing lies below
    return {range};
  return within(range, cut_evenly(bounds.integer(0, 0), end - 1, pieces));
}

std::vector<Range> cut_between_keys(Executor &source, const SourceTable &table, const Key &key,
                                    const Range &range, int64_t pieces) {
  const std::string column = quote_identifier(key.columns().front().name);
  const std::string condition = key.condition(range);
  const Rows row =
      source.exec("SELECT pg_catalog.min(" + column + "), pg_catalog.max(" + column + ") FROM " +
                  table.from_item() + (condition.empty() ? "" : " WHERE " + condition));
  if (row.empty() || row.is_null(0, 0))
    return {range};
  return within(range, cut_evenly(row.integer(0, 0), row.integer(0, 1), pieces));
}

} // namespace parallel_loader
