#include "core/base/size_text.hpp"

#include <cmath>
#include <iterator>

namespace parallel_loader {

SizeUnit size_unit(double bytes, double limit) noexcept {
  constexpr std::string_view kNames[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  double size = 1;
  size_t index = 0;
  while (bytes / size >= limit && index + 1 < std::size(kNames)) {
    size *= 1024;
    index++;
  }
  return {kNames[index], size};
}

std::string size_text(int64_t bytes) {
  const SizeUnit unit = size_unit(static_cast<double>(bytes), 1024);
  // One digit after the point where it says something.
  const auto tenths =
      static_cast<int64_t>(std::llround(static_cast<double>(bytes) / unit.bytes * 10));
  std::string text = std::to_string(tenths / 10);
  if (tenths < 100 && tenths % 10 != 0)
    text += "." + std::to_string(tenths % 10);
  return text + " " + std::string(unit.bytes > 1 ? unit.name : "bytes");
}

} // namespace parallel_loader
