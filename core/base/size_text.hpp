// size_text: numbers of bytes, for people.
#pragma once

#include "core/base/pure.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace parallel_loader {

/// A power of 1024 bytes, under the server's own name.
struct SizeUnit {
  std::string_view name; // `B`, `kB`, `MB` …
  double bytes;
};

/// The smallest unit of which `bytes` are fewer than `limit`; the largest one when there is none.
[[nodiscard]] SizeUnit size_unit(double bytes, double limit) noexcept;

/// A size in words: `0 bytes`, `512 kB`, `1.4 TB`.
[[nodiscard]] std::string size_text(int64_t bytes);

} // namespace parallel_loader
