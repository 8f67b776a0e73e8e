// shell: words as a shell reads them.
#pragma once

#include <string>
#include <string_view>

namespace parallel_loader {

/// `text` as one word for a POSIX shell: between single quotes, unless it needs none.
[[nodiscard]] std::string shell_word(std::string_view text);

} // namespace parallel_loader
