// paint: colour on a terminal, never the only sign of anything.
#pragma once

#include <string>
#include <string_view>

namespace parallel_loader {

enum class Color { kOff, kOn };
enum class Ink { kGreen, kRed, kYellow, kCyan, kDim };

/// `text` between the ANSI sequences of `ink`; unchanged with Color::kOff.
[[nodiscard]] inline std::string paint(std::string_view text, Ink ink, Color color) {
  if (color == Color::kOff || text.empty())
    return std::string(text);
  std::string_view start;
  switch (ink) {
  case Ink::kGreen:
    start = "\033[32m";
    break;
  case Ink::kRed:
    start = "\033[1;31m";
    break;
  case Ink::kYellow:
    start = "\033[1;33m";
    break;
  case Ink::kCyan:
    start = "\033[36m";
    break;
  case Ink::kDim:
    start = "\033[2m";
    break;
  }
  return std::string(start).append(text).append("\033[0m");
}

} // namespace parallel_loader
