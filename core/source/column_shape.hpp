// column_shape: what the types of a pull's columns were when it was planned, to be compared later.
#pragma once

#include "core/base/error.hpp"
#include "core/connection/connection.hpp"
#include "core/source/column_map.hpp"
#include "core/source/source_table.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

enum class ShapePart : char {
  kColumn = 'c',         // of the table
  kField = 'f',          // of a composite that a column holds, at any depth
  kKey = 'k',            // collation and nullability of a key's column
  kExtension = 'e',      // that a type belongs to
  kLabels = 'l',         // of an enum that a column holds: see enum_labels.hpp
  kRelation = 'r',       // that a view, or a partitioned table that is read as one, is made of
  kFilterRelation = 'w', // relation that the filter reads beside the table
  kMemberLabels = 'm',   // of an enum that columns of those two have
  kRow = 'a',            // all columns, of a table whose filter may read rows as a whole
};

/// One line of a shape.  `name` says what is compared with what, `type` and `place` are compared,
/// `words` are for people.  What the parts have there: the comments are those of columns; a
/// relation (kRelation, kFilterRelation) has its OID as name, its file or a hash of its view as
/// type, and as place its kind and a hash of its columns (see add_content); labels have their
/// enum's OID or expression as place.
struct ShapeLine {
  ShapePart part = ShapePart::kColumn;
  std::string name;  // of the column, or of the extension
  std::string place; // attribute number; of a field its path
  std::string type;
  std::string words; // `numeric(10,2)`

  friend bool operator==(const ShapeLine &, const ShapeLine &) = default;
};
using Shape = std::vector<ShapeLine>;

/// A shape as one text: a line each, parts separated by tabs, both escaped where they stand in a
/// name.  read_shape reads it back.
[[nodiscard]] std::string write_shape(const Shape &shape);
[[nodiscard]] Shape read_shape(std::string_view text);

/// What makes two shapes differ.
struct ShapeChange {
  ShapePart part = ShapePart::kColumn;
  std::string name;
  std::string before;    // in words; empty: there was none
  std::string after;     // likewise
  bool is_moved = false; // the same type, but another column: it was dropped and added again

  /// `Its type was integer, now it is bigint.`
  [[nodiscard]] std::string sentence() const;
};

/// 55000: the filter of a pull reads other relations than it was planned with.
[[nodiscard]] Error other_filter(int64_t pull_id, const ShapeChange &change, std::string hint);

/// The first relation of `planned`'s filter that `now` lacks or has in another form; nullopt: none,
/// or a plan of an earlier version, which has none of them.  Others may have come: a partition that
/// no boundary rules out any more, what a function reads.  Those that joined the filter's
/// tables after the snapshot are for find_written_columns to find.
[[nodiscard]] std::optional<ShapeChange> find_filter_change(const Shape &planned, const Shape &now);

/// The first difference between the relations that a view, or a partitioned table that is read as
/// one, is made of; a plan of 0.4 does not know their columns.
[[nodiscard]] std::optional<ShapeChange> find_member_change(const Shape &planned, const Shape &now);

/// Attribute numbers differ between a partition and its root.
enum class PlaceRule { kCompared, kIgnored };

/// The first difference between the lines of the given parts; nullopt when there is none.
[[nodiscard]] std::optional<ShapeChange>
find_shape_change(const Shape &planned, const Shape &now, std::string_view parts, PlaceRule places);

/// The shape of the local columns that travel.
[[nodiscard]] Shape local_shape(const DestinationTable &table,
                                std::span<const std::string> columns);

/// Asks the source for the types that COPY itself will use.
///
/// Catalogue queries show the snapshot's catalogue, COPY uses today's; so does the description of a
/// statement, which also locks the relations that it names, and none of their indexes.
class SourceShape {
public:
  SourceShape() = default;
  /// `columns`: those that travel, and those of the key.
  SourceShape(const SourceTable &table, const Types &types, std::vector<std::string> columns);

  /// `SELECT … FROM from_item`: takes the lock that COPY takes, and needs no more rights.
  [[nodiscard]] std::string statement(std::string_view from_item) const;
  /// What the description of that statement says; the words are left empty.
  [[nodiscard]] Shape lines(std::span<const DescribedColumn> described) const;
  /// The same by the catalogue, without modifiers: as the snapshot shows it.
  [[nodiscard]] Shape snapshot_lines(const SourceTable &table, const Types &types) const;
  /// True if a column has fields: they may change under a lock on the table.
  [[nodiscard]] bool has_fields() const noexcept { return !expansions_.empty(); }
  [[nodiscard]] const std::vector<std::string> &columns() const noexcept { return columns_; }

private:
  struct Expansion {
    std::string column;
    std::string expression; // a composite value
    TypeOid type = 0;
  };

  std::vector<std::string> columns_;
  std::vector<Expansion> expansions_;
};

/// The lines without the types' modifiers and without words.
[[nodiscard]] Shape without_modifiers(Shape shape);

/// Fills in the words, by the names that the types have on that server now.
void describe_shape(Executor &server, Shape &shape);

/// The line of part kRow.
[[nodiscard]] ShapeLine row_shape(const SourceTable &table);

/// Lines of the parts kKey and kExtension.
[[nodiscard]] Shape key_shape(Executor &source, const SourceTable &table,
                              std::span<const std::string> key_columns);
[[nodiscard]] Shape extension_shape(Executor &source, const SourceTable &table,
                                    std::span<const std::string> columns, const Types &types);

} // namespace parallel_loader
