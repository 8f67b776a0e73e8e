// bucket_key: a column by which both servers sort their rows into the same ranges.
#pragma once

#include "core/plan/plan.hpp"
#include "core/source/column_map.hpp"
#include "core/verify/row_hash.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// Both tables with their types.
struct TablePair {
  const SourceTable &source;
  const Types &source_types;
  const DestinationTable &destination;
  const Types &destination_types;
};

/// A boundary between two ranges: as results show it, and as a literal's content of the key's type.
struct Boundary {
  std::string text;
  std::string value;

  friend bool operator==(const Boundary &, const Boundary &) = default;
};

/// Text is compared byte by byte: collations of the same name differ between servers.
class BucketKey {
public:
  enum class Order {
    kValue,     // a type that all servers sort alike, such as bigint or uuid
    kText,      // text, by the bytes of the database's encoding
    kUtf8Bytes, // text of databases whose encodings sort differently, as UTF8
  };

  /// nullopt when the column is missing on one side, or has types there that need not sort alike.
  [[nodiscard]] static std::optional<BucketKey> match(const TablePair &tables,
                                                      std::string_view column, TextForm form);

  [[nodiscard]] const std::string &column() const noexcept { return column_; }
  [[nodiscard]] bool is_nullable() const noexcept { return is_nullable_; }

  /// The bounds of the chunks, each once, in this key's order, as the source sorts them.
  [[nodiscard]] std::vector<Boundary> sort_boundaries(Executor &source,
                                                      std::span<const PlannedChunk> chunks) const;

  /// The number of the range that a row lies in: how many of `boundaries` are not above its key;
  /// NULL when the key is.
  [[nodiscard]] std::string bucket(std::span<const Boundary> boundaries) const;

  /// The condition for the rows of buckets `first` to `last`, written so that an index on the
  /// column serves it where the order allows; the last one has the rows without a key too.  Empty
  /// when it is all.
  [[nodiscard]] std::string condition(std::span<const Boundary> boundaries, size_t first,
                                      size_t last) const;

private:
  [[nodiscard]] std::string value() const;
  [[nodiscard]] std::string compared() const;
  [[nodiscard]] std::string literal(const Boundary &boundary) const;

  std::string column_;
  std::string type_; // quoted; what values are compared as
  Order order_ = Order::kValue;
  bool is_nullable_ = true;
};

/// The column that the comparison is cut on: `wanted` if it can be (the first of several, no ctid),
/// else the first column of an index of the source, primary key and unique ones first; nullopt when
/// none can be.
[[nodiscard]] std::optional<BucketKey> choose_bucket_key(Executor &source, const TablePair &tables,
                                                         std::string_view wanted, TextForm form);

} // namespace parallel_loader
