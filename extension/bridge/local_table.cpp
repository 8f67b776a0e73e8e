#include "extension/bridge/local_table.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/server/sql/catalog_changes.hpp"
#include "extension/server/sql/destination_table.hpp"

extern "C" {
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
}

namespace parallel_loader {

DestinationTable describe_local_table(uint32_t table) {
  const TableDescription info = call([&]() noexcept { return destination_table_describe(table); });
  DestinationTable destination;
  destination.name = {info.schema, info.name};
  for (int index = 0; index < info.column_count; index++) {
    const ColumnDescription &column = info.columns[index];
    destination.columns.push_back({column.name, column.type, column.is_generated, column.number,
                                   column.type_name, column.content});
  }
  return destination;
}

// Looking types up takes longer than all else that a small table needs, and most tables have the
// same few.
Types load_local_types(const std::vector<DestinationColumn> &columns) {
  static TypeCache cache;
  static uint64 seen = 0;
  const uint64 changes = call([]() noexcept { return catalog_changes_of_types(); });
  if (changes != seen)
    cache.clear();
  SpiExecutor executor(SpiMode::kReadLatest);
  seen = changes;
  return cache.load(executor, column_types(columns));
}

std::string local_from_item(uint32_t table) {
  const char kind = call([&]() noexcept { return get_rel_relkind(table); });
  // Rows of inheritance children are not the table's own.
  const std::string only = kind == RELKIND_RELATION ? "ONLY " : "";
  return only + describe_local_table(table).name.quoted();
}

} // namespace parallel_loader
