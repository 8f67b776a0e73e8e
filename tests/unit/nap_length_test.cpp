// nap_length_test: naps grow and shrink with what they bring.
#include "core/connection/nap_length.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace parallel_loader {
namespace {

using Time = NapLength::Time;

/// Gives the bytes that have come in a nap of that length.
using Source = std::function<size_t(Time)>;

Source steady(size_t bytes_per_us) {
  return [bytes_per_us](Time length) {
    return static_cast<size_t>(std::max<Time::rep>(length.count(), 1)) * bytes_per_us;
  };
}

/// As a steady source, but no more than the socket holds.
Source with_buffer(size_t bytes, size_t bytes_per_us) {
  return [=](Time length) { return std::min(bytes, steady(bytes_per_us)(length)); };
}

// The length that naps settle on.
Time settle(NapLength &naps, const Source &source, size_t turns = 200) {
  Time length{};
  for (size_t turn = 0; turn < turns; ++turn) {
    length = naps.next();
    naps.add(source(length));
  }
  return length;
}

TEST(NapLength, begins_with_short_naps) {
  NapLength naps;
  EXPECT_EQ(naps.next(), NapLength::kShortest);
}

TEST(NapLength, settles_where_a_nap_brings_neither_few_bytes_nor_many) {
  for (const size_t bytes_per_us : {60, 150, 400, 1000}) {
    NapLength naps;
    const size_t brought = steady(bytes_per_us)(settle(naps, steady(bytes_per_us)));
    EXPECT_GE(brought, NapLength::kFew) << bytes_per_us;
    EXPECT_LE(brought, NapLength::kMany) << bytes_per_us;
  }
}

TEST(NapLength, slow_source_is_given_no_more_than_the_longest_nap) {
  NapLength naps;
  EXPECT_EQ(settle(naps, steady(10)), NapLength::kLongest);
}

TEST(NapLength, very_fast_source_is_given_the_shortest_nap) {
  NapLength naps;
  EXPECT_EQ(settle(naps, steady(10'000)), NapLength::kShortest);
}

TEST(NapLength, follows_a_source_that_becomes_faster) {
  NapLength naps;
  settle(naps, steady(10));
  EXPECT_EQ(settle(naps, with_buffer(200'000, 1'000)), NapLength::kLongest / 8);
}

TEST(NapLength, waits_instead_where_longer_naps_bring_no_more) {
  NapLength naps;
  const Source small = with_buffer(8'192, 150);
  const size_t until_found = 2 * NapLength::kNapsPerStep + 1;
  EXPECT_EQ(settle(naps, small, until_found), Time::zero());
  EXPECT_EQ(settle(naps, small, NapLength::kSkipped - 1), Time::zero());
}

TEST(NapLength, tries_again_after_a_while) {
  NapLength naps;
  settle(naps, with_buffer(8'192, 150), 2 * NapLength::kNapsPerStep + NapLength::kSkipped);
  EXPECT_EQ(naps.next(), Time::zero());
  EXPECT_EQ(naps.next(), NapLength::kShortest);
  EXPECT_GE(settle(naps, steady(150)), NapLength::kShortest * 4);
}

TEST(NapLength, naps_that_end_no_row_count_together) {
  NapLength naps;
  const size_t naps_per_row = 100;
  for (size_t turn = 0; turn < 50 * naps_per_row; ++turn) {
    EXPECT_EQ(naps.next(), NapLength::kShortest);
    if (turn % naps_per_row == naps_per_row - 1)
      naps.add(10'000'000);
  }
}

} // namespace
} // namespace parallel_loader
