#include "core/connection/nap_length.hpp"

#include <algorithm>
#include <utility>

namespace parallel_loader {

NapLength::Time NapLength::next() {
  if (skip_ > 0) {
    --skip_;
    nap_bytes_ = 0;
    return Time::zero();
  }
  // Naps within one long row count as one.
  if (nap_bytes_ != 0) {
    step_bytes_ += std::exchange(nap_bytes_, 0);
    if (++step_naps_ == kNapsPerStep) {
      step_naps_ = 0;
      adjust(std::exchange(step_bytes_, 0) / kNapsPerStep);
    }
  }
  return skip_ > 0 ? Time::zero() : length_;
}

void NapLength::adjust(size_t mean_bytes) {
  const size_t shorter_bytes = std::exchange(shorter_bytes_, 0);
  if (mean_bytes > kMany) {
    length_ = std::max(length_ / 2, kShortest);
  } else if (mean_bytes < kFew && mean_bytes < shorter_bytes + shorter_bytes / 4) {
    length_ = kShortest;
    skip_ = kSkipped;
  } else if (mean_bytes < kFew && length_ < kLongest) {
    length_ = std::min(length_ * 2, kLongest);
    shorter_bytes_ = mean_bytes;
  }
}

} // namespace parallel_loader
