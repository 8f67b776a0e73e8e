// table_argument: the TABLE[=TARGET_TABLE] argument.
#pragma once

#include "core/base/quote.hpp"

#include <string_view>

namespace parallel_loader {

struct TableArgument {
  QualifiedName table;       // on the source
  QualifiedName destination; // on the destination
};

/// Reads `sales.orders`, `"Odd Name"` or `orders=archive.orders`; names are SQL identifiers, and an
/// `=` inside double quotes belongs to the name.  Throws Failure kUsage.
[[nodiscard]] TableArgument parse_table_argument(std::string_view text);

} // namespace parallel_loader
