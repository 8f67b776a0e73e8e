#include "core/tuple/tuple_batch.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace parallel_loader {

namespace {
constexpr size_t kFirstBytes = size_t{64} << 10;
}

// realloc, not a vector: nothing is filled with zeros that the next row overwrites, and large
// pieces are moved by the kernel without a copy.
void TupleBatch::grow(size_t bytes) {
  const size_t wanted = std::max({size_bytes_ + bytes, 2 * capacity_bytes_, kFirstBytes});
  auto *const grown = static_cast<char *>(std::realloc(data_.get(), wanted));
  if (grown == nullptr)
    throw std::bad_alloc();
  static_cast<void>(data_.release());
  data_.reset(grown);
  capacity_bytes_ = wanted;
}

void TupleBatch::append(uint32_t length, bool breaks_not_null) {
  tuples_.push_back({size_bytes_, length, breaks_not_null});
  std::memset(data_.get() + size_bytes_ + length, 0, kAlignment);
  size_bytes_ += (size_t{length} + kAlignment - 1) & ~(kAlignment - 1);
}

void TupleBatch::clear() noexcept {
  tuples_.clear();
  size_bytes_ = 0;
  if (capacity_bytes_ <= kKeptBytes)
    return;
  data_.reset();
  capacity_bytes_ = 0;
}

} // namespace parallel_loader
