// tuple_batch: heap tuples as they lie on a page, one after the other in one piece of memory.
#pragma once

#include "core/base/pure.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

namespace parallel_loader {

/// One tuple of a TupleBatch.
struct Tuple {
  size_t offset = 0;            // of its header from data(), a multiple of 8
  uint32_t length = 0;          // bytes, header included (t_len)
  bool breaks_not_null = false; // a column that is NOT NULL is NULL
};

/// Grows as tuples are appended.  Every byte up to size_bytes() is written, alignment as zeros.
class TupleBatch {
public:
  /// Tuples begin at multiples of this (MAXALIGN).
  static constexpr size_t kAlignment = 8;
  /// What clear() keeps of the memory.
  static constexpr size_t kKeptBytes = size_t{4} << 20;

  /// The tuples' bytes; invalid once another tuple is appended, or after clear().
  [[nodiscard]] char *data() noexcept { return data_.get(); }
  [[nodiscard]] const char *data() const noexcept { return data_.get(); }
  [[nodiscard]] size_t size_bytes() const noexcept { return size_bytes_; }
  [[nodiscard]] size_t capacity_bytes() const noexcept { return capacity_bytes_; }
  [[nodiscard]] std::span<const Tuple> tuples() const noexcept { return tuples_; }

  /// Forgets the tuples.  Memory that a huge row has taken goes back to the system.
  void clear() noexcept;

  /// Where the next tuple begins, with `bytes` to write there.  What was written there before is
  /// kept.  Invalidates data().
  [[nodiscard]] char *reserve(size_t bytes) {
    if (capacity_bytes_ - size_bytes_ < bytes + kAlignment)
      grow(bytes + kAlignment);
    return data_.get() + size_bytes_;
  }
  /// Makes the first `length` bytes of what reserve() gave a tuple.
  void append(uint32_t length, bool breaks_not_null);

private:
  struct Free {
    void operator()(char *memory) const noexcept { std::free(memory); }
  };

  void grow(size_t bytes);

  std::unique_ptr<char, Free> data_;
  size_t size_bytes_ = 0;
  size_t capacity_bytes_ = 0;
  std::vector<Tuple> tuples_;
};

} // namespace parallel_loader
