// secret: texts that hold a password, overwritten when they are no longer needed.
#pragma once

#include "core/base/pure.hpp"

#include <string>

namespace parallel_loader {

/// Overwrites `size` bytes, also where the compiler sees that nobody reads them again.
void wipe(char *bytes, size_t size) noexcept;

/// Overwrites the text and empties it.
void wipe(std::string &text) noexcept;

/// Overwrites a text at the end of its scope.
class WipeAtEnd {
public:
  explicit WipeAtEnd(std::string &text) noexcept : text_(text) {}
  WipeAtEnd(const WipeAtEnd &) = delete;
  WipeAtEnd &operator=(const WipeAtEnd &) = delete;
  ~WipeAtEnd() { wipe(text_); }

private:
  std::string &text_;
};

} // namespace parallel_loader
