// local_table: the local table as the parts in core/ see it.
#pragma once

#include "core/source/column_map.hpp"

namespace parallel_loader {

/// Throws PgError.
[[nodiscard]] DestinationTable describe_local_table(uint32_t table);

/// The types of all columns of a local table, and more.
[[nodiscard]] Types load_local_types(const std::vector<DestinationColumn> &columns);

/// What a FROM clause names: the rows of the table itself, or of all its partitions.
[[nodiscard]] std::string local_from_item(uint32_t table);

} // namespace parallel_loader
