// range: the key that a table is cut on, ranges of it, and the SQL conditions they stand for.
#pragma once

#include "core/connection/executor.hpp"
#include "core/source/source_table.hpp"
#include "core/source/types.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// A bound as the caller gave it.
struct Bound {
  std::string text;
  /// The pg_catalog name of the built-in type it was given as (for example `timestamptz`); empty
  /// for text and untyped literals, which are read as the key's own type.
  std::string type;
};

/// Half-open [start, end); nullopt is open on that side.  Bounds are text in the key's bound type.
/// Open on both sides it is the whole relation, rows with a NULL key included; with a bound it
/// leaves them out.  `nulls`: the rows whose key is NULL, and only those; both bounds are then
/// open.
struct Range {
  std::optional<std::string> start;
  std::optional<std::string> end;
  bool nulls = false;
  bool not_null = false; // open on both sides, but for rows whose key is NULL

  friend bool operator==(const Range &, const Range &) = default;
};

struct KeyColumn {
  std::string name; // unquoted
  std::string
      bound_type;        // quoted type that bounds are compared in, for example "pg_catalog"."int8"
  std::string collation; // quoted; empty where the type has none
  bool is_not_null = false;
  std::array<std::string, 5> operators = {}; // see TypeInfo
};

/// What ranges are cut on: nothing (one piece), one column, several, or ctid.
class Key {
public:
  /// No key: the only range is the whole table.
  Key() = default;

  /// Reads the key as the caller names it (`id`, `MixedCase`, `ctid`, `(a, "B c")`) and finds its
  /// columns; an empty text is no key.  Integer columns are compared as bigint, date and timestamp
  /// columns in the type of the bounds when that is one of the three, all others in the key's own
  /// type, under its domains. Throws Error 42703 for a column the table lacks, 42601 for a list
  /// that cannot be read, 42701 for a column named twice.
  [[nodiscard]] static Key resolve(std::string_view text, const SourceTable &table,
                                   const Types &types, std::string_view bound_type);

  /// The key as the ledger keeps it: resolve() reads it back.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool is_none() const noexcept { return columns_.empty(); }
  [[nodiscard]] bool is_ctid() const noexcept { return is_ctid_; }
  [[nodiscard]] const std::vector<KeyColumn> &columns() const noexcept { return columns_; }
  /// True for one integer column (smallint, integer, bigint).
  [[nodiscard]] bool is_integer() const noexcept;

  /// The SQL condition for `range`; empty when it is open on both sides.
  /// Throws Error 22023 for a record literal with another number of fields or a NULL in it.
  [[nodiscard]] std::string condition(const Range &range) const;

  /// `operator_name` (<, <=, =, >=, >) with spaces around it: the key's own one, by its schema, so
  /// that nothing in a search path stands in for it.
  [[nodiscard]] std::string comparison(std::string_view operator_name) const;

  /// `(values) operator (bound)`: `values` are SQL expressions, one for each column of the key.
  /// Throws Error 22023 as condition() does.
  [[nodiscard]] std::string compare(const std::vector<std::string> &values,
                                    std::string_view operator_name, std::string_view bound) const;

private:
  [[nodiscard]] std::string bound_literal(std::string_view text) const;

  std::vector<KeyColumn> columns_;
  bool is_ctid_ = false;
};

/// `"pg_catalog"."timestamptz"` for `timestamptz`; a name that is quoted already as it is.
[[nodiscard]] std::string quote_builtin_type(std::string_view name);

/// Reads the caller's bounds into the key's bound type on the source (so in its formats), where
/// fractions on an integer key are rounded up, which keeps the half-open range exact.
/// Throws Error 22023 when start lies after end, the source's own SQLSTATE when a bound cannot be
/// read. `is_empty` is set when start equals end.
struct ResolvedRange {
  Range range;
  bool is_empty = false;
};
[[nodiscard]] ResolvedRange resolve_range(Executor &source, const Key &key,
                                          const std::optional<Bound> &start,
                                          const std::optional<Bound> &end);

} // namespace parallel_loader
