// utf8: whether bytes are text in UTF-8, as the server takes it.
#pragma once

#include "core/pure.hpp"

#include <string_view>

namespace parallel_loader {

/// True if all bytes are ASCII, and none is NUL.
[[nodiscard]] bool is_ascii(std::string_view text) noexcept;

/// True if the text is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, up to
/// U+10FFFF) without NUL.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

} // namespace parallel_loader
