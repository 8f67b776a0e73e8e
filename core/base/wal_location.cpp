#include "core/base/wal_location.hpp"

#include <charconv>

namespace parallel_loader {
namespace {

std::optional<uint32_t> parse_number(std::string_view text, int base) noexcept {
  uint32_t number = 0;
  const char *const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number, base);
  return failure == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

} // namespace

std::optional<uint64_t> parse_lsn(std::string_view text) noexcept {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    return std::nullopt;
  const std::optional<uint32_t> high = parse_number(text.substr(0, slash), 16);
  const std::optional<uint32_t> low = parse_number(text.substr(slash + 1), 16);
  if (!high || !low)
    return std::nullopt;
  return static_cast<uint64_t>(*high) << 32 | *low;
}

std::optional<uint64_t> parse_timeline(std::string_view text) noexcept {
  const std::optional<uint32_t> number = parse_number(text, 10);
  if (!number || *number == 0)
    return std::nullopt;
  return *number;
}

} // namespace parallel_loader
