// database_text: texts of a source as this database may keep and show them.
#pragma once

#include <string>
#include <string_view>

namespace parallel_loader {

/// True when `text` is valid in this database's encoding.  Does not raise.
[[nodiscard]] bool is_database_text(std::string_view text) noexcept;

/// The text, cut to about `most_bytes` and with what is no text in this encoding replaced.
[[nodiscard]] std::string to_database_text(std::string_view text, size_t most_bytes);

} // namespace parallel_loader
