// tuple_batch: see tuple_batch.hpp.
#include "core/tuple_batch.hpp"

#include <algorithm>
#include <new>

namespace parallel_loader {
namespace {

constexpr size_t kKept = size_t{2} * 1024 * 1024;

} // namespace

void TupleBatch::grow(size_t wanted) {
  const size_t capacity = std::max(wanted, std::min(2 * capacity_, kKept));
  char *memory = static_cast<char *>(std::realloc(memory_.get(), capacity));
  if (memory == nullptr)
    throw std::bad_alloc();
  static_cast<void>(memory_.release()); // realloc has freed it
  memory_.reset(memory);
  capacity_ = capacity;
}

void TupleBatch::clear() noexcept {
  used_ = 0;
  tuples_.clear();
  if (capacity_ <= kKept)
    return;
  memory_.reset();
  capacity_ = 0;
}

} // namespace parallel_loader
