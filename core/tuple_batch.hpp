// tuple_batch: heap tuples in one piece of memory, ready to be inserted together.
#pragma once

#include "core/pure.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

namespace parallel_loader {

/// A tuple in a TupleBatch.
struct Tuple {
  size_t offset = 0; // a multiple of kTupleAlignment
  uint32_t length = 0;
  bool breaks_not_null = false; // a column that is declared NOT NULL is null
};

/// MAXIMUM_ALIGNOF of every platform that PostgreSQL runs on with 64 bits.
inline constexpr size_t kTupleAlignment = 8;

class TupleBatch {
public:
  /// Room for a tuple of up to `bytes` behind the last one; what was written there stays when more
  /// is asked for.  Throws std::bad_alloc.
  [[nodiscard]] char *reserve(size_t bytes) {
    if (used_ + bytes > capacity_)
      grow(used_ + bytes);
    return memory_.get() + used_;
  }

  /// Keeps the first `length` bytes of what was reserved as a tuple.
  void append(uint32_t length, bool breaks_not_null) {
    tuples_.push_back({used_, length, breaks_not_null});
    used_ += (length + kTupleAlignment - 1) / kTupleAlignment * kTupleAlignment;
  }

  [[nodiscard]] std::span<const Tuple> tuples() const noexcept { return tuples_; }
  /// The tuples' memory; valid until the next reserve().
  [[nodiscard]] char *data() noexcept { return memory_.get(); }
  [[nodiscard]] size_t size_bytes() const noexcept { return used_; }

  /// Forgets all tuples.  What a large row has taken is given back.
  void clear() noexcept;

private:
  struct Free {
    void operator()(char *memory) const noexcept { std::free(memory); }
  };

  void grow(size_t wanted);

  std::unique_ptr<char[], Free> memory_;
  size_t capacity_ = 0;
  size_t used_ = 0;
  std::vector<Tuple> tuples_;
};

} // namespace parallel_loader
