#include "orchestrator/base/text.hpp"

#include "core/base/size_text.hpp"
#include "orchestrator/base/utf8.hpp"

#include <fmt/format.h>

namespace parallel_loader {

namespace {

// Not 1024: `1000.0 kB` and `1023 MB` do not fit the columns.
SizeUnit unit_for(double bytes) {
  return size_unit(bytes, 999.95);
}

/// At least two significant digits and no more decimals than that takes.
std::string short_number(double value, const SizeUnit &unit) {
  return unit.bytes > 1 && value < 9.95 ? fmt::format("{:.1f}", value)
                                        : fmt::format("{:.0f}", value);
}

} // namespace

size_t text_width(std::string_view text) noexcept {
  size_t width = 0;
  while (!text.empty())
    width += char_width(take_char(text));
  return width;
}

namespace {

/// The longest head of `text` that fits, with all that is drawn over its last character.
std::string_view head_of(std::string_view text, size_t width) {
  size_t used = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t at = text.size() - rest.size();
    used += char_width(take_char(rest));
    if (used > width)
      return text.substr(0, at);
  }
  return text;
}

/// The longest tail that fits; it does not begin with what belongs to the character before it.
std::string_view tail_of(std::string_view text, size_t width) {
  size_t used = text_width(text);
  bool is_cut = false;
  while (!text.empty()) {
    std::string_view rest = text;
    const size_t first = char_width(take_char(rest));
    if (used <= width && !(is_cut && first == 0))
      return text;
    used -= first;
    text = rest;
    is_cut = true;
  }
  return text;
}

} // namespace

std::string fit_text(std::string_view text, size_t width) {
  constexpr std::string_view kGap = "..";
  if (text_width(text) <= width)
    return std::string(text);
  if (width <= kGap.size())
    return std::string(kGap.substr(0, width));
  const size_t kept = width - kGap.size();
  const size_t tail_width = kept / 2;
  return std::string(head_of(text, kept - tail_width))
      .append(kGap)
      .append(tail_of(text, tail_width));
}

std::string pad_left(std::string_view text, size_t width) {
  const size_t used = text_width(text);
  return std::string(width > used ? width - used : 0, ' ').append(text);
}

std::string pad_right(std::string_view text, size_t width) {
  const size_t used = text_width(text);
  return std::string(text).append(width > used ? width - used : 0, ' ');
}

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char character = take_char(text);
    if (!character.is_valid || is_control(character))
      result += '?';
    else
      result += character.bytes;
  }
  return result;
}

std::string format_count(int64_t count) {
  std::string digits = fmt::format("{}", count);
  const size_t first = count < 0 ? 1 : 0;
  for (size_t from_end = 3; digits.size() - first > from_end; from_end += 4)
    digits.insert(digits.size() - from_end, 1, ' ');
  return digits;
}

std::string format_number_of(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", format_count(count), noun, count == 1 ? "" : "s");
}

std::string format_size(int64_t bytes) {
  const SizeUnit unit = unit_for(static_cast<double>(bytes));
  return fmt::format("{:.{}f} {}", static_cast<double>(bytes) / unit.bytes, unit.bytes > 1 ? 1 : 0,
                     unit.name);
}

std::string format_size_of(int64_t bytes, int64_t total) {
  const SizeUnit unit = unit_for(static_cast<double>(total));
  const double whole = static_cast<double>(total) / unit.bytes;
  const double part = static_cast<double>(bytes) / unit.bytes;
  const int decimals = unit.bytes > 1 && whole < 9.95 ? 1 : 0;
  return fmt::format("{:.{}f} / {:.{}f} {}", part, decimals, whole, decimals, unit.name);
}

std::string format_rate(double bytes_per_s) {
  if (bytes_per_s <= 0)
    return "-";
  const SizeUnit unit = unit_for(bytes_per_s);
  return fmt::format("{} {}/s", short_number(bytes_per_s / unit.bytes, unit), unit.name);
}

std::string format_duration(std::chrono::milliseconds duration) {
  const int64_t tenths = (duration.count() + 50) / 100;
  if (tenths < 100)
    return fmt::format("{}.{}s", tenths / 10, tenths % 10);
  const int64_t seconds = (duration.count() + 500) / 1000;
  const int64_t minutes = seconds / 60;
  const int64_t hours = minutes / 60;
  if (minutes == 0)
    return fmt::format("{}s", seconds);
  if (hours == 0)
    return fmt::format("{}m{:02}s", minutes, seconds % 60);
  if (hours < 24)
    return fmt::format("{}h{:02}m", hours, minutes % 60);
  return fmt::format("{}d{:02}h", hours / 24, hours % 24);
}

} // namespace parallel_loader
