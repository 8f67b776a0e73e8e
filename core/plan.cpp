// plan: see plan.hpp.
#include "core/plan.hpp"

#include "core/error.hpp"
#include "core/quote.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

__extension__ typedef unsigned __int128 WideCount; // how many integers lie in a range: up to 2^64

constexpr int64_t kMaxPieces = 10000;
constexpr int64_t kMinPieceBytes = 1 << 20; // a smaller piece costs more to start than to move
constexpr int64_t kPiecesPerWorker = 4;     // so that workers that finish early find more to do

WideCount count_between(int64_t low, int64_t high) {
  return static_cast<WideCount>(static_cast<uint64_t>(high) - static_cast<uint64_t>(low)) + 1;
}

bool is_whole(const Range &range) {
  return !range.start && !range.end;
}

/// What the source has of an integer key.
struct KeySpan {
  bool has_rows = false;
  int64_t low = 0;
  int64_t high = 0;
  double share = 1; // of the whole key space that [low, high] covers
};

// The parts of a SELECT of min and max.
std::string span_select(const std::string &column, const SourceTable &table) {
  return "SELECT pg_catalog.min(" + column + ") AS low, pg_catalog.max(" + column +
         ") AS high FROM " + table.from_item();
}

KeySpan read_span(Executor &source, const PlanRequest &request) {
  const std::string column = quote_identifier(request.key.columns().front().name);
  std::string where = request.key.condition(request.range);
  // The line break ends a comment that the filter may end with.
  if (!request.filter.empty())
    where += (where.empty() ? "(" : " AND (") + request.filter + "\n)";
  std::string wanted = span_select(column, request.table);
  if (!where.empty())
    wanted += " WHERE " + where;
  // A range of a huge table is no huge range; asking costs two index look-ups.
  const std::string whole = !is_whole(request.range)
                                ? span_select(column, request.table)
                                : "SELECT NULL::bigint AS low, NULL::bigint AS high";
  const Rows row = source.exec("SELECT p.low, p.high, w.low, w.high FROM (" + wanted +
                               ") AS p CROSS JOIN (" + whole + ") AS w");
  if (row.empty() || row.is_null(0, 0))
    return {};
  KeySpan span{.has_rows = true, .low = row.integer(0, 0), .high = row.integer(0, 1)};
  if (!row.is_null(0, 2))
    span.share = static_cast<double>(count_between(span.low, span.high)) /
                 static_cast<double>(count_between(row.integer(0, 2), row.integer(0, 3)));
  return span;
}

int count_pieces(const PlanRequest &request, double share, bool has_index) {
  const int64_t workers = std::max(request.workers, 1);
  const bool has_size = std::string_view("rmp").find(request.table.kind) != std::string_view::npos;
  const auto bytes = static_cast<int64_t>(static_cast<double>(request.table.bytes) * share);
  int64_t pieces = workers * kPiecesPerWorker;
  if (has_size) {
    pieces = std::max(pieces, bytes / std::max<int64_t>(request.chunk_bytes, 1));
    pieces = std::min(pieces, bytes / kMinPieceBytes);
  }
  // Without an index each piece reads the whole table.
  if (!has_index)
    pieces = std::min(pieces, workers);
  return static_cast<int>(std::clamp<int64_t>(pieces, 1, kMaxPieces));
}

// Without an index, min and max would read the whole table (or run the whole view) before the first
// row moves, so the bounds themselves are what is cut, if there are two.
KeySpan span_of_bounds(const Range &range) {
  if (!range.start || !range.end)
    return {};
  return {.has_rows = true, .low = std::stoll(*range.start), .high = std::stoll(*range.end) - 1};
}

std::vector<Range> cut_integers(Executor &source, const PlanRequest &request) {
  const bool has_index = has_index_on(source, request.table, request.key.columns().front().name);
  const KeySpan span = has_index ? read_span(source, request) : span_of_bounds(request.range);
  if (!span.has_rows)
    return {request.range};
  std::vector<Range> chunks =
      cut_evenly(span.low, span.high, count_pieces(request, span.share, has_index));
  chunks.front().start = request.range.start;
  chunks.back().end = request.range.end;
  return chunks;
}

} // namespace

std::vector<PlannedChunk> plan_chunks(Executor &source, const PlanRequest &request) {
  std::vector<Range> ranges = {request.range};
  if (!request.key.is_none() && !request.range.nulls) {
    if (request.key.is_integer())
      ranges = cut_integers(source, request);
    const bool is_nullable = !std::ranges::all_of(request.key.columns(), &KeyColumn::is_not_null);
    if (is_whole(request.range) && is_nullable)
      ranges.push_back({.start = {}, .end = {}, .nulls = true});
  }
  std::vector<PlannedChunk> chunks;
  for (Range &range : ranges)
    chunks.push_back({.range = std::move(range)});
  return chunks;
}

std::vector<Range> cut_evenly(int64_t low, int64_t high, int pieces) {
  if (low >= high || pieces < 2)
    return {Range{}};
  const WideCount count = count_between(low, high);
  const WideCount piece_count = std::min(count, static_cast<WideCount>(pieces));

  std::vector<Range> ranges(1);
  for (WideCount piece = 1; piece < piece_count; ++piece) {
    const auto offset = static_cast<uint64_t>(count * piece / piece_count);
    const std::string border =
        std::to_string(static_cast<int64_t>(static_cast<uint64_t>(low) + offset));
    ranges.back().end = border;
    ranges.push_back({.start = border, .end = {}});
  }
  return ranges;
}

} // namespace parallel_loader
