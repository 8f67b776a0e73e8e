// column_map: which columns travel, in what format, and the COPY statements that move them.
#pragma once

#include "core/base/quote.hpp"
#include "core/source/char_text.hpp"
#include "core/source/source_table.hpp"
#include "core/source/types.hpp"

#include <optional>
#include <string>
#include <vector>

namespace parallel_loader {

enum class Format { kText, kBinary };
enum class FormatChoice { kAuto, kText, kBinary };

/// Reads `auto`, `text` or `binary`.  Throws Error 22023.
[[nodiscard]] FormatChoice parse_format(std::string_view text);
[[nodiscard]] std::string_view format_name(Format format) noexcept;

/// A live column of the destination table.
struct DestinationColumn {
  std::string name;
  TypeOid type = 0;
  bool is_generated = false;
  int number = 0;             // attribute number
  std::string type_name = {}; // with its modifier, for people
  std::string content = {}; // the type, all that it is made of, and their modifiers, to be compared
};

struct DestinationTable {
  QualifiedName name;
  std::vector<DestinationColumn> columns;
};

/// The columns of a pull, by name, in the order in which they travel.
struct ColumnMap {
  std::vector<std::string> columns;
  Format format = Format::kText;
  std::string format_reason; // why not binary; empty when it is
  CharText chars = {};       // that text cannot carry
};

/// Chooses columns and format.
/// Default columns: every column of the source that is not generated on the destination.
/// Throws Error 42703 for a source column the destination lacks (unless `columns` leaves it out) or
/// a named column that either side lacks, 42701 for one named twice, 42P10 for a generated one,
/// 42804 for composites whose fields have another order (format `auto` only), 0A000 for `binary` on
/// a column that binary cannot carry.
[[nodiscard]] ColumnMap map_columns(const SourceTable &source, const Types &source_types,
                                    const DestinationTable &destination,
                                    const Types &destination_types,
                                    const std::optional<std::vector<std::string>> &columns,
                                    FormatChoice choice);

/// What to look for in rows of these columns that travel as text; columns that are gone are left
/// out.
[[nodiscard]] CharText find_char_text(const SourceTable &source, const Types &source_types,
                                      const DestinationTable &destination,
                                      const Types &destination_types,
                                      const std::vector<std::string> &columns);

/// `COPY (SELECT … FROM … WHERE …) TO STDOUT (FORMAT …)`; empty conditions are left out.
/// `from_item` is SourceTable::from_item() or leaf_item().
[[nodiscard]] std::string copy_statement(std::string_view from_item, const ColumnMap &map,
                                         std::string_view range_condition, std::string_view filter);

/// `SELECT … FROM … LIMIT 0`: takes the locks and needs the rights that copy_statement needs.
[[nodiscard]] std::string lock_statement(const SourceTable &source, const ColumnMap &map);

/// `SELECT … FROM … WHERE false`: needs the same rights, and locks no partition.
[[nodiscard]] std::string rights_statement(const SourceTable &source, const ColumnMap &map);

} // namespace parallel_loader
