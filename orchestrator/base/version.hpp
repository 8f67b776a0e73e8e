// version: of the program.
#pragma once

#include <string_view>

namespace parallel_loader {

/// That of the control file: `0.6`.
[[nodiscard]] std::string_view program_version() noexcept;

} // namespace parallel_loader
