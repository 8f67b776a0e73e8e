// nap_length: how long the reader of a stream sleeps so that more than a few bytes gather.
#pragma once

#include "core/base/pure.hpp"

#include <chrono>
#include <cstddef>

namespace parallel_loader {

/// A server sends a COPY stream in pieces of 8 kB, and a reader that waits for each of them costs
/// both sides more than the reading.  So a reader that has caught up sleeps first.  The length
/// follows from what naps bring: one that is too short saves nothing, and in one that is too long
/// the socket's buffer fills up and the source stands still.
class NapLength {
public:
  using Time = std::chrono::microseconds;

  static constexpr Time kShortest{50};
  static constexpr Time kLongest{1'000};
  /// A nap is to bring this many bytes at least and at most.  A unix socket of Linux holds about
  /// 200 kB.
  static constexpr size_t kFew = size_t{48} * 1024;
  static constexpr size_t kMany = size_t{128} * 1024;
  /// The length is set anew by the mean of so many naps.
  static constexpr size_t kNapsPerStep = 8;
  /// So many naps are left out once longer ones have brought no more: the buffer is so small that
  /// the source stands still in a nap.  Or it was chance, so they are taken again.
  static constexpr size_t kSkipped = 1'000;

  /// `size` bytes of the stream were read.
  void add(size_t size) noexcept { nap_bytes_ += size; }

  /// Nothing is left to read: how long to sleep before looking again; zero when naps are of no
  /// use for now.
  [[nodiscard]] Time next();

private:
  void adjust(size_t mean_bytes);

  Time length_ = kShortest;
  size_t nap_bytes_ = 0;  // read since the last nap
  size_t step_bytes_ = 0; // read since the length was set
  size_t step_naps_ = 0;
  size_t shorter_bytes_ = 0; // what naps brought before they were made longer; 0: they were not
  size_t skip_ = 0;          // how often to wait instead
};

} // namespace parallel_loader
