#include "core/plan/plan.hpp"

#include "core/base/error.hpp"
#include "core/plan/integer_cuts.hpp"
#include "core/plan/key_sample.hpp"
#include "core/source/relation_sizes.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr int64_t kMaxPieces = 10000;
constexpr size_t kMostChunks = 200000;      // with a chunk or two for each of very many partitions
constexpr int64_t kMinPieceBytes = 1 << 20; // a smaller piece costs more to start than to move
constexpr int64_t kPiecesPerWorker = 4;     // so that workers that finish early find more to do
constexpr int64_t kSmallPages = 1000;       // a table of no more blocks may be read whole
constexpr int64_t kSmallSamplePages = 350;  // more than a hundredth of a table of few blocks
constexpr int64_t kRandomPages = 8;         // for a piece, where blocks are taken at random
constexpr int64_t kLeastSamplePages = 128;
constexpr int64_t kMostSamplePages = 20000;
constexpr int64_t kHeavyBlockBytes = 64 << 10;
constexpr int64_t kGuessedRowBytes = 100; // of a table that was neither analysed nor sampled

bool is_whole(const Range &range) {
  return range == Range{};
}

int64_t share_of(int64_t amount, int64_t part, int64_t whole) {
  if (whole <= 0)
    return amount;
  const double share =
      static_cast<double>(amount) * static_cast<double>(part) / static_cast<double>(whole);
  return static_cast<int64_t>(std::clamp(share, 0.0, 1e15)); // estimates of the source may lie
}

int64_t divide_up(int64_t amount, int64_t by) {
  return amount / by + (amount % by != 0 ? 1 : 0);
}

/// What chunks are cut from: the pull's table, or one of its leaves.
struct Unit {
  std::string relation; // PlannedChunk::relation
  std::string from_item;
  uint32_t oid = 0;
  bool can_sample = false;
  bool has_tid_ranges = false;
  int64_t pages = 0;
  int64_t bytes = 0;
  int64_t rows = 0;
};

/// Cuts the units of one pull.
class Planner {
public:
  Planner(Executor &source, const PlanRequest &request)
      : source_(source), request_(request),
        sizes_(RelationSizes::find(source, request.table, readable_columns())) {
    if (request.key.is_ctid())
      require_tid_ranges();
  }

  std::vector<PlannedChunk> run() {
    for (const Unit &unit : units()) {
      cut(unit);
      if (chunks_.size() > kMostChunks)
        throw Error(sqlstate::kProgramLimitExceeded,
                    "table " + request_.table.name.cited() + " of the source is cut into " +
                        "more than " + std::to_string(kMostChunks) + " chunks");
    }
    return std::move(chunks_);
  }

private:
  // What has to be readable in each leaf.  The filter may name any column.
  [[nodiscard]] std::optional<std::vector<std::string>> readable_columns() const {
    if (!request_.columns || !request_.filter.empty())
      return std::nullopt;
    std::vector<std::string> names = *request_.columns;
    for (const KeyColumn &column : request_.key.columns())
      names.push_back(column.name);
    return names;
  }

  [[nodiscard]] bool takes_all_columns() const {
    return !request_.columns || request_.columns->size() == request_.table.columns.size();
  }

  void require_tid_ranges() const {
    const std::string missing = sizes_.missing_for_ctid();
    if (missing.empty())
      return;
    throw Error(sizes_.can_read_ctid ? sqlstate::kFeatureNotSupported
                                     : sqlstate::kInsufficientPrivilege,
                "table " + request_.table.name.cited() + " of the source cannot be cut by ctid",
                "Ranges of ctid need " + missing + ".", "Name a column in key.");
  }

  [[nodiscard]] std::vector<Unit> units() {
    if (request_.table.kind != 'p' || request_.leaf_rule == LeafRule::kAsOne ||
        !sizes_.is_readable_by_leaf() || !filter_suits(sizes_.leaves.front()))
      return {whole_table()};
    std::vector<Unit> units;
    for (const Leaf &leaf : leaves_of_range())
      units.push_back(of_leaf(leaf, leaf.name.quoted(), leaf_item(leaf.name.quoted())));
    return units;
  }

  // The source itself says which partitions hold nothing of a range.
  [[nodiscard]] std::vector<Leaf> leaves_of_range() {
    const std::string condition = request_.key.condition(request_.range);
    if (condition.empty())
      return sizes_.leaves;
    constexpr size_t kAtOnce = 50; // planning locks indexes, until it is taken back
    std::vector<Leaf> kept;
    for (size_t index = 0; index < sizes_.leaves.size(); ++index) {
      if (index % kAtOnce == 0) {
        source_.exec("SAVEPOINT parallel_loader_leaves");
        source_.exec("SELECT pg_catalog.set_config('constraint_exclusion', 'on', true)");
      }
      if (may_hold(sizes_.leaves[index], condition))
        kept.push_back(sizes_.leaves[index]);
      if (index % kAtOnce == kAtOnce - 1 || index == sizes_.leaves.size() - 1) {
        source_.exec("ROLLBACK TO SAVEPOINT parallel_loader_leaves");
        source_.exec("RELEASE SAVEPOINT parallel_loader_leaves");
      }
    }
    return kept.empty() ? std::vector<Leaf>{sizes_.leaves.front()} : kept;
  }

  [[nodiscard]] bool may_hold(const Leaf &leaf, const std::string &condition) {
    const Rows plan = source_.exec("EXPLAIN (COSTS OFF) SELECT FROM " +
                                   leaf_item(leaf.name.quoted()) + " WHERE " + condition);
    for (size_t row = 0; row < plan.size(); ++row)
      if (plan.text(row, 0).find("One-Time Filter: false") != std::string::npos)
        return false;
    return true;
  }

  // A filter may name the table that it was written for.
  [[nodiscard]] bool filter_suits(const Leaf &leaf) {
    return request_.filter.empty() ||
           try_exec(source_, filter_probe(leaf_item(leaf.name.quoted()), request_.filter),
                    request_.filter_path);
  }

  [[nodiscard]] Unit of_leaf(const Leaf &leaf, std::string relation, std::string from_item) const {
    return {.relation = std::move(relation),
            .from_item = std::move(from_item),
            .oid = leaf.oid,
            .can_sample = leaf.kind != 'f',
            .has_tid_ranges = sizes_.has_tid_ranges(leaf),
            .pages = leaf.pages,
            .bytes = leaf.bytes,
            .rows = leaf.rows};
  }

  [[nodiscard]] Unit whole_table() const {
    if (request_.table.kind != 'p' && !sizes_.leaves.empty())
      return of_leaf(sizes_.leaves.front(), {}, request_.table.from_item());
    return {.relation = {},
            .from_item = request_.table.from_item(),
            .oid = request_.table.oid,
            .can_sample = !sizes_.leaves.empty() &&
                          std::ranges::none_of(sizes_.leaves,
                                               [](const Leaf &leaf) { return leaf.kind == 'f'; }),
            .has_tid_ranges = false,
            .pages = sizes_.pages(),
            .bytes = sizes_.bytes(),
            .rows = sizes_.rows()};
  }

  void cut(const Unit &unit) {
    const size_t first = chunks_.size();
    cut_unit(unit);
    for (size_t index = first; index < chunks_.size(); ++index)
      chunks_[index].relation_oid = unit.oid;
  }

  void cut_unit(const Unit &unit) {
    if (request_.key.is_none() || request_.range.nulls)
      return add_whole(unit);
    if (!unit.can_sample)
      return cut_bounds(unit);
    PieceSize size = piece_size(unit);
    if (size.most_pieces < 2)
      return add_whole(unit);
    const std::optional<KeySample> sample = sample_key(source_, sample_request(unit, size), size);
    if (!sample)
      return add_whole(unit);
    const bool is_too_coarse = sample->blocks < sample->wanted_pieces;
    if (is_too_coarse && !is_whole(request_.range) && request_.key.is_integer() && has_index(unit))
      return cut_by_value(unit, *sample);
    add_pieces(unit, *sample);
  }

  void add_whole(const Unit &unit) {
    const int64_t rows = unit.rows >= 0 ? unit.rows : unit.bytes / kGuessedRowBytes;
    chunks_.push_back({request_.range, unit.relation, rows, unit.bytes});
  }

  // Min and max would read the whole table or run the whole view before the first row moves, so
  // the bounds themselves are what is cut.
  void cut_bounds(const Unit &unit) {
    if (!request_.key.is_integer())
      return add_whole(unit);
    for (Range &piece : cut_between_bounds(request_.range, std::max(request_.workers, 1)))
      chunks_.push_back({.range = std::move(piece), .relation = unit.relation});
  }

  void cut_by_value(const Unit &unit, const KeySample &sample) {
    std::vector<Range> ranges = cut_between_keys(source_, request_.table, request_.key,
                                                 request_.range, sample.wanted_pieces);
    SamplePiece sum;
    for (const SamplePiece &piece : sample.pieces) {
      sum.rows += piece.rows;
      sum.bytes += piece.bytes;
    }
    const auto count = static_cast<int64_t>(ranges.size());
    for (Range &range : ranges)
      chunks_.push_back({std::move(range), unit.relation, sum.rows / count, sum.bytes / count});
  }

  [[nodiscard]] PieceSize piece_size(const Unit &unit) {
    const int64_t whole = sizes_.bytes();
    const int64_t workers = std::max(request_.workers, 1);
    PieceSize size;
    size.wanted_bytes = std::max<int64_t>(request_.chunk_bytes, 1);
    size.wanted_bytes = std::max(size.wanted_bytes, divide_up(whole, kMaxPieces));
    size.least_bytes = std::min(kMinPieceBytes, size.wanted_bytes);
    size.wanted_pieces =
        std::max<int64_t>(1, share_of(workers * kPiecesPerWorker, unit.bytes, whole));
    size.most_pieces = std::clamp<int64_t>(unit.bytes / size.least_bytes, 1, kMaxPieces);
    if (size.most_pieces > 1 && !has_index(unit))
      size.most_pieces = std::min(size.most_pieces, workers);
    return size;
  }

  // Without an index each piece reads the whole unit.
  [[nodiscard]] bool has_index(const Unit &unit) {
    if (request_.key.is_ctid())
      return true;
    SourceTable table;
    table.oid = unit.oid;
    return has_index_on(source_, table, request_.key.columns().front().name);
  }

  SampleRequest sample_request(const Unit &unit, PieceSize &size) {
    const int64_t pieces = std::min(
        size.most_pieces, std::max(divide_up(unit.bytes, size.wanted_bytes), size.wanted_pieces));
    SampleSource from = SampleSource::of(unit.from_item, unit.pages, sample_pages(unit, pieces),
                                         unit.has_tid_ranges);
    // With few blocks for a piece, one of them decides on its size.
    if (from.method == SampleMethod::kBlocks)
      size.most_pieces = std::min(size.most_pieces, from.sample_pages);
    if (from.method == SampleMethod::kSystem)
      size.most_pieces = std::clamp<int64_t>(from.sample_pages / kRandomPages, 1, size.most_pieces);
    if (row_size_.empty())
      row_size_ = row_size_expression(source_, request_.table.oid, request_.columns);
    const bool is_pruned = request_.table.kind == 'p' && !is_whole(request_.range);
    return {.from = std::move(from),
            .key = request_.key,
            .range = request_.range,
            .filter = request_.filter,
            .row_size = row_size_,
            .bytes = is_pruned || !takes_all_columns() ? std::optional<int64_t>() : unit.bytes,
            .is_range_in_where = is_pruned,
            .filter_path = request_.filter_path,
            .is_cut_in_blocks = has_heavy_blocks(unit, pieces)};
  }

  // With much TOAST one block of the heap may be worth several pieces.
  [[nodiscard]] static bool has_heavy_blocks(const Unit &unit, int64_t pieces) {
    return unit.pages < pieces * 2 || unit.bytes / unit.pages > kHeavyBlockBytes;
  }

  // Eight blocks for a piece, as far as less than a hundredth of the table allows.
  [[nodiscard]] int64_t sample_pages(const Unit &unit, int64_t pieces) const {
    const int64_t whole = sizes_.pages();
    const int64_t wanted = std::max(8 * pieces, share_of(kLeastSamplePages, unit.pages, whole));
    const int64_t most =
        whole <= kSmallPages
            ? unit.pages
            : std::max(unit.pages / 125, share_of(kSmallSamplePages, unit.pages, whole));
    return std::clamp<int64_t>(wanted, 1, std::clamp<int64_t>(most, 1, kMostSamplePages));
  }

  void add_pieces(const Unit &unit, const KeySample &sample) {
    const size_t first = chunks_.size();
    for (const SamplePiece &piece : sample.pieces) {
      Range range = request_.range;
      if (chunks_.size() > first && piece.start) {
        chunks_.back().range.end = piece.start;
        range.start = piece.start;
      }
      chunks_.push_back({std::move(range), unit.relation, piece.rows, piece.bytes});
    }
    const bool is_nullable = !std::ranges::all_of(request_.key.columns(), &KeyColumn::is_not_null);
    if (!is_whole(request_.range) || !is_nullable)
      return;
    if (chunks_.size() == first + 1) { // open on both sides: it takes the NULLs along
      chunks_.back().row_estimate += sample.null_rows;
      chunks_.back().byte_estimate += sample.null_bytes;
    } else {
      chunks_.push_back({{.start = {}, .end = {}, .nulls = true},
                         unit.relation,
                         sample.null_rows,
                         sample.null_bytes});
    }
  }

  Executor &source_;
  const PlanRequest &request_;
  RelationSizes sizes_;
  std::string row_size_;
  std::vector<PlannedChunk> chunks_;
};

} // namespace

std::vector<PlannedChunk> plan_chunks(Executor &source, const PlanRequest &request) {
  return Planner(source, request).run();
}

} // namespace parallel_loader
