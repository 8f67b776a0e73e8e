// bar: how much is done, as a bar.
#pragma once

#include "orchestrator/display/screen_style.hpp"

#include <string>

namespace parallel_loader {

/// `fraction` from 0 to 1, of `width` columns.
[[nodiscard]] std::string bar(double fraction, size_t width, const ScreenStyle &style);

} // namespace parallel_loader
