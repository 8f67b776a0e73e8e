// utf8: text as code points, which may come from servers that lie about their encoding.
#pragma once

#include <string_view>

namespace parallel_loader {

struct Utf8Char {
  std::string_view bytes;
  char32_t code = 0;
  bool is_valid = false; // else one byte that begins no code point
};

/// Takes the first code point, or one byte that belongs to none, off the front of `text`, which
/// must not be empty.
[[nodiscard]] Utf8Char take_char(std::string_view &text) noexcept;

/// The columns that it takes on a terminal: 0 for those that are drawn over the one before, 2 for
/// wide ones; as psql sees it.
[[nodiscard]] size_t char_width(const Utf8Char &character) noexcept;

/// What may not be shown as it is: control characters, and those that change the direction or the
/// line of what follows, with which a name could pretend to be something else.
[[nodiscard]] bool is_control(const Utf8Char &character) noexcept;

} // namespace parallel_loader
