// version: of the program.
#pragma once

#include <string_view>

namespace parallel_loader {

/// That of the control file: `0.6`.
[[nodiscard]] std::string_view program_version() noexcept;

/// Whether version `one`, as `0.6` or `0.10`, comes before `other`.
[[nodiscard]] bool is_older(std::string_view one, std::string_view other);

} // namespace parallel_loader
