// source_table: what the source's catalogue says of the table that is read.
#pragma once

#include "core/base/quote.hpp"
#include "core/connection/executor.hpp"
#include "core/source/types.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace parallel_loader {

struct SourceColumn {
  std::string name;
  TypeOid type = 0;
  bool is_not_null = false;
  std::string collation; // quoted and qualified; empty for types without
  int number = 0;        // attribute number
};

struct SourceTable {
  uint32_t oid = 0;
  QualifiedName name;
  char kind = 'r'; // pg_class.relkind
  bool has_children = false;
  int64_t bytes = 0; // pg_table_size: heap and TOAST; of all leaves for a partitioned table
  std::vector<SourceColumn> columns; // by position, dropped ones left out

  /// nullptr when there is none.
  [[nodiscard]] const SourceColumn *find_column(std::string_view column) const noexcept;
  /// What a FROM clause names: `ONLY "s"."t"` for a table, which may become a parent at any time,
  /// else `"s"."t"`.
  [[nodiscard]] std::string from_item() const;
  /// What stands for it in a query that reads no row: not its partitions, all of which would be
  /// locked.
  [[nodiscard]] std::string probe_item() const;

  /// Looks the table up; an empty schema in `name` is searched for along `search_path`.
  /// Throws Error 42P01 when there is no such relation, 42809 when it is of a kind that holds no
  /// rows.
  [[nodiscard]] static SourceTable find(Executor &source, const QualifiedName &name,
                                        std::span<const std::string> search_path);
};

/// The default key: the table's single-column primary key, else a single-column unique index over a
/// column that is NOT NULL (valid, not partial, no expression); nullopt when there is neither.
[[nodiscard]] std::optional<std::string> find_default_key(Executor &source,
                                                          const SourceTable &table);

/// The columns of every key that tells each row of the table from all others: unique indexes,
/// valid, not partial, without expressions, whose columns are all NOT NULL.  The primary key comes
/// first.
[[nodiscard]] std::vector<std::vector<std::string>> find_row_keys(Executor &source,
                                                                  const SourceTable &table);

/// True if some valid, whole index of the table starts with `column`.
[[nodiscard]] bool has_index_on(Executor &source, const SourceTable &table,
                                std::string_view column);

} // namespace parallel_loader
