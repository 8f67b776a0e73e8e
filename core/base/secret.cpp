#include "core/base/secret.hpp"

namespace parallel_loader {

void wipe(char *bytes, size_t size) noexcept {
  volatile char *byte = bytes;
  for (size_t index = 0; index < size; index++)
    byte[index] = '\0';
}

// What an earlier, longer text left behind the end goes as well.
void wipe(std::string &text) noexcept {
  text.resize(text.capacity()); // within the capacity: throws nothing
  wipe(text.data(), text.size());
  text.clear();
}

} // namespace parallel_loader
