#include "orchestrator/base/version.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

namespace parallel_loader {

namespace {

/// What is no number counts as 0.
std::vector<int> parts_of(std::string_view version) {
  std::vector<int> parts;
  const char *at = version.data();
  const char *const end = at + version.size();
  while (at < end) {
    parts.push_back(0);
    at = std::find(std::from_chars(at, end, parts.back()).ptr, end, '.');
    at += at < end ? 1 : 0;
  }
  return parts;
}

} // namespace

std::string_view program_version() noexcept {
  return PARALLEL_LOADER_VERSION;
}

bool is_older(std::string_view one, std::string_view other) {
  return parts_of(one) < parts_of(other);
}

} // namespace parallel_loader
