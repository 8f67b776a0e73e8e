// key_sample: reads some blocks of a table and cuts its key where the bytes of the rows say.
#pragma once

#include "core/connection/executor.hpp"
#include "core/plan/range.hpp"
#include "core/source/filter_path.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace parallel_loader {

/// Which rows are looked at.
enum class SampleMethod {
  kAll,    // every row
  kBlocks, // blocks at even distances, by ranges of ctid: heap tables from version 14 on
  kSystem, // TABLESAMPLE SYSTEM: blocks at random
};

/// A relation as the sample reads it.
struct SampleSource {
  std::string from_item;
  SampleMethod method = SampleMethod::kAll;
  int64_t pages = 0;        // of the whole relation
  int64_t sample_pages = 0; // how many of them are read

  /// Reads all of a relation of no more than `sample_pages` blocks.
  [[nodiscard]] static SampleSource of(std::string from_item, int64_t pages, int64_t sample_pages,
                                       bool has_tid_ranges);
};

struct SampleRequest {
  SampleSource from;
  const Key &key;
  const Range &range;             // rows outside do not count
  const std::string &filter;      // nor do those for which this is not true; may be empty
  std::string row_size;           // SQL expression: bytes of a row, with what lies in TOAST
  std::optional<int64_t> bytes;   // of the relation; nullopt: what the sample makes of it
  bool is_range_in_where = false; // lets the source leave out partitions; `bytes` is then nullopt
  FilterPath filter_path = {};    // in which the names of the filter are found
  bool is_cut_in_blocks = false;  // ctid alone: cuts lie anywhere, not only where a block begins
};

/// What decides on the number of pieces.
struct PieceSize {
  int64_t wanted_bytes = 0;  // of a piece
  int64_t least_bytes = 0;   // smaller ones are not worth their start
  int64_t wanted_pieces = 1; // at least, if they are not too small
  int64_t most_pieces = 1;
};

/// One piece of the key's range; it begins at `start`, or where the range does.
struct SamplePiece {
  std::optional<std::string> start;
  int64_t rows = 0;
  int64_t bytes = 0;
};

struct KeySample {
  std::vector<SamplePiece> pieces; // in key order; at least one
  int64_t null_rows = 0;           // rows whose key is NULL
  int64_t null_bytes = 0;
  int64_t wanted_pieces = 1; // for the bytes found, however few blocks they were found in
  int64_t blocks = 0;        // of the sample that rows counted in; as many as pieces if unknown
};

/// Runs a statement that may fail for what it finds: nullopt when it does (a type without an order,
/// a name that is not there, a value out of range), and the transaction goes on.  Throws Error with
/// the source's SQLSTATE for anything else.
/// `path`: of the filter that the statement holds.
[[nodiscard]] std::optional<Rows> try_exec(Executor &source, std::string_view sql,
                                           const FilterPath &path = {});

/// Cuts the rows of the sample into pieces of about equal bytes: no more of them than there are
/// sampled blocks, and a key value as large as a piece begins one.  Bounds ascend strictly by the
/// source's own comparison, lie within `range`, and read back as the keys they came from.
/// nullopt: the key's type has no order, or the source could not look at the rows in this way.
/// Throws Error with the source's SQLSTATE for anything else.
[[nodiscard]] std::optional<KeySample> sample_key(Executor &source, const SampleRequest &request,
                                                  const PieceSize &size);

/// How far the order of `key` follows that of the blocks: |correlation| between 0 and 1;
/// nullopt when there are too few rows to tell.
[[nodiscard]] std::optional<double> sample_correlation(Executor &source, const SampleSource &from,
                                                       const Key &key);

/// The expression for SampleRequest::row_size: `columns` are those that travel, nullopt: all.
/// Sizes are those stored, compressed and in TOAST; nothing is fetched from there.
[[nodiscard]] std::string
row_size_expression(Executor &source, uint32_t table_oid,
                    const std::optional<std::vector<std::string>> &columns);

} // namespace parallel_loader
