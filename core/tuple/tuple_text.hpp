// tuple_text: which bytes are text in a database's encoding.
#pragma once

#include "core/base/pure.hpp"

#include <cstdint>
#include <string_view>

namespace parallel_loader {

/// What the database's encoding says of bytes.
enum class TextEncoding : uint8_t {
  kUtf8,
  kSingleByte, // each byte but NUL is a character; SQL_ASCII, too, though it says nothing of them
  kOther,      // only ASCII is known: encodings of several bytes
};

/// True when `text` is UTF-8 without NUL, as pg_utf8_islegal() has it: no overlong forms, no
/// surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8_text(std::string_view text) noexcept;

/// The number of characters of valid UTF-8.
[[nodiscard]] size_t utf8_length(std::string_view text) noexcept;

/// True when `text` is known to be text in that encoding, without NUL.
[[nodiscard]] bool is_text(std::string_view text, TextEncoding encoding) noexcept;

/// Copies `text` to `to`, where up to eight bytes more may be written.  Returns true when all of it
/// is ASCII without NUL.  Eight bytes before the end of `text` must be readable, however short it
/// is, unless it has one byte or none.
[[nodiscard]] bool copy_ascii(char *to, std::string_view text) noexcept;

} // namespace parallel_loader
