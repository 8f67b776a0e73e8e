// screen_style: what a screen has room for, and what it can show.
#pragma once

#include "orchestrator/base/paint.hpp"

#include <cstddef>

namespace parallel_loader {

enum class Glyphs { kUnicode, kAscii };

struct ScreenStyle {
  size_t width = 80; // columns of the terminal
  size_t height = 24;
  Glyphs glyphs = Glyphs::kUnicode;
  Color color = Color::kOff;
};

} // namespace parallel_loader
