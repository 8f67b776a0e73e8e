#include "extension/bridge/database_text.hpp"

#include <algorithm>

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace parallel_loader {

bool is_database_text(std::string_view text) noexcept {
  return pg_verifymbstr(text.data(), static_cast<int>(text.size()), true);
}

std::string to_database_text(std::string_view text, size_t most_bytes) {
  const size_t limit = std::min(text.size(), most_bytes);
  const int length =
      pg_mbcliplen(text.data(), static_cast<int>(text.size()), static_cast<int>(limit));
  std::string kept(text.substr(0, static_cast<size_t>(length)));
  if (!is_database_text(kept))
    std::ranges::replace_if(
        kept, [](char c) { return c == '\0' || IS_HIGHBIT_SET(c); }, '?');
  return kept;
}

} // namespace parallel_loader
