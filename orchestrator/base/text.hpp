// text: fits words and numbers into the columns of a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace parallel_loader {

/// The columns that UTF-8 `text` takes on a terminal: two for wide characters of East Asia, none
/// for combining ones.
[[nodiscard]] size_t text_width(std::string_view text) noexcept;
/// Cuts out of the middle of `text` what does not fit `width`, so that both a schema and the end of
/// a name stay readable; the gap shows as `..`.
[[nodiscard]] std::string fit_text(std::string_view text, size_t width);
[[nodiscard]] std::string pad_left(std::string_view text, size_t width);
[[nodiscard]] std::string pad_right(std::string_view text, size_t width);
/// `text` with `?` for each control character, also for those that turn the direction of writing,
/// and for each byte that is no UTF-8: names of tables may hold newlines and escape sequences.
[[nodiscard]] std::string printable(std::string_view text);

/// `1234567` as `1 234 567`.
[[nodiscard]] std::string format_count(int64_t count);
/// `1 chunk`, `16 chunks`.
[[nodiscard]] std::string format_number_of(int64_t count, std::string_view noun);
/// `0 B`, `5.3 MB`, `111.0 GB`: powers of 1024 under the server's own unit names.
[[nodiscard]] std::string format_size(int64_t bytes);
/// `71 / 111 GB`: both in the unit of `total`.
[[nodiscard]] std::string format_size_of(int64_t bytes, int64_t total);
/// `412 MB/s`, `8.4 MB/s`; `-` when there is none.
[[nodiscard]] std::string format_rate(double bytes_per_s);
/// `0.4s`, `12s`, `1m39s`, `2h05m`, `3d04h`.
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

} // namespace parallel_loader
