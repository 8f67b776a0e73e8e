// row_match: whether a row of the source is in the local table already, by a unique key of the
// source.
#pragma once

#include "core/connection/executor.hpp"
#include "core/source/source_table.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace parallel_loader {

/// A column's type below any domains.
struct KeyType {
  uint32_t oid = 0;
  std::string schema; // unquoted, as is:
  std::string name;
  int32_t modifier = -1; // pg_attribute.atttypmod
  std::string display;   // of the column's own type, with its modifier
};

/// A key's column as the local table has it.
struct LocalKeyColumn {
  std::string name;
  KeyType type;
  bool is_deterministic = true; // its collation, or it has none
  std::string equals_schema;    // of the default btree class's equality operator; empty: none
  std::string equals;
};

/// The types of the source's columns `names`, in their order.
[[nodiscard]] std::vector<KeyType> load_key_types(Executor &source, const SourceTable &table,
                                                  const std::vector<std::string> &names);

/// True if values that differ on the source may become one value here: other scale, other
/// precision, a shorter text.  Such a column cannot tell rows apart.
[[nodiscard]] bool may_merge_values(const KeyType &source, const KeyType &local);

/// `d."k" OPERATOR("s".=) s."k" AND …`: the row `s` in local types is the row `d` of the local
/// table. Where the local order takes different texts for equal, the texts themselves are compared,
/// too.
[[nodiscard]] std::string row_match(const std::vector<LocalKeyColumn> &columns);

} // namespace parallel_loader
