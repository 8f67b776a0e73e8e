#include "core/base/error.hpp"

#include <utility>

namespace parallel_loader {

Error::Error(std::string_view sqlstate, std::string message, std::string detail, std::string hint)
    : sqlstate_(sqlstate), message_(std::move(message)), detail_(std::move(detail)),
      hint_(std::move(hint)) {}

Error Error::with_detail(std::string_view sentence) const {
  Error error = *this;
  if (!error.detail_.empty())
    error.detail_ += '\n';
  error.detail_ += sentence;
  return error;
}

} // namespace parallel_loader
