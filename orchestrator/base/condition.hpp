// condition: short names of the SQLSTATEs that a summary has room for.
#pragma once

#include <string>
#include <string_view>

namespace parallel_loader {

/// `unique violation (23505)`; the SQLSTATE alone where it has no name here, and `error` for an
/// empty one.  Names: PostgreSQL manual, appendix A, with spaces.
[[nodiscard]] std::string condition_text(std::string_view sqlstate);

} // namespace parallel_loader
