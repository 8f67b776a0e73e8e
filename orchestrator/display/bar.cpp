#include "orchestrator/display/bar.hpp"

#include <string_view>

namespace parallel_loader {

namespace {

std::string repeat(std::string_view glyph, size_t count) {
  std::string result;
  result.reserve(glyph.size() * count);
  for (size_t index = 0; index < count; ++index)
    result.append(glyph);
  return result;
}

} // namespace

std::string bar(double fraction, size_t width, const ScreenStyle &style) {
  const bool is_ascii = style.glyphs == Glyphs::kAscii;
  const auto halves = static_cast<size_t>(fraction * static_cast<double>(width) * 2);
  const size_t full = halves / 2;
  std::string head = repeat(is_ascii ? "=" : "━", full);
  size_t used = full;
  if (full < width && (is_ascii ? full > 0 : halves % 2 == 1)) {
    head += is_ascii ? ">" : "╸";
    ++used;
  }
  return paint(head, Ink::kGreen, style.color) +
         paint(repeat(is_ascii ? "-" : "─", width - used), Ink::kDim, style.color);
}

} // namespace parallel_loader
