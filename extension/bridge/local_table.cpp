#include "extension/bridge/local_table.hpp"

#include "extension/bridge/boundary.hpp"
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

std::string local_from_item(uint32_t table) {
  const char kind = call([&]() noexcept { return get_rel_relkind(table); });
  // Rows of inheritance children are not the table's own.
  const std::string only = kind == RELKIND_RELATION ? "ONLY " : "";
  return only + describe_local_table(table).name.quoted();
}

} // namespace parallel_loader
