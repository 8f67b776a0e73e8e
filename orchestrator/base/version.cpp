#include "orchestrator/base/version.hpp"

namespace parallel_loader {

std::string_view program_version() noexcept {
  return PARALLEL_LOADER_VERSION;
}

} // namespace parallel_loader
