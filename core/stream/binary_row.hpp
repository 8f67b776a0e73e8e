// binary_row: the form of a row in a binary COPY stream.
#pragma once

#include "core/base/pure.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace parallel_loader {

/// Returns an empty string when `row` is exactly one row of a binary COPY stream with
/// `column_count` fields, else what is wrong with it.
[[nodiscard]] std::string check_binary_row(std::string_view row, size_t column_count);

/// Throws Error 22P04 for row `number` (from 1) of the stream.
[[noreturn]] void throw_malformed_row(int64_t number, const std::string &flaw);

} // namespace parallel_loader
