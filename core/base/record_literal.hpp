// record_literal: reads row values such as (1,"a ""b""") into their fields.
#pragma once

#include "core/base/pure.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// Splits a record literal into its fields, unquoted.
/// Throws Error 22023 when it cannot be read, holds a NULL, or has another number of fields than
/// `field_count`.
/// Format: PostgreSQL manual, Composite Types, "Composite Type Input and Output Syntax".
[[nodiscard]] std::vector<std::string> parse_record(std::string_view text, size_t field_count);

} // namespace parallel_loader
