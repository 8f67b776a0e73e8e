// error: see error.hpp.
#include "core/error.hpp"

#include <utility>

namespace parallel_loader {

Error::Error(std::string_view sqlstate, std::string message, std::string detail, std::string hint)
    : sqlstate_(sqlstate), message_(std::move(message)), detail_(std::move(detail)),
      hint_(std::move(hint)) {}

} // namespace parallel_loader
