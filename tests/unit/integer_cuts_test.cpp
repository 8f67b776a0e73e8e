// integer_cuts_test: cutting of integer ranges into pieces that touch and never overlap.
#include "core/plan/integer_cuts.hpp"

#include "tests/unit/fake_executor.hpp"
#include "tests/unit/sample_catalog.hpp"

#include <climits>
#include <gtest/gtest.h>
#include <random>

namespace parallel_loader {
namespace {

using namespace testing;

// Each key of [low, high] lies in exactly one range, and no range is empty.
void expect_exact_cover(const std::vector<Range> &ranges, int64_t low, int64_t high) {
  ASSERT_FALSE(ranges.empty());
  EXPECT_FALSE(ranges.front().start);
  EXPECT_FALSE(ranges.back().end);
  int64_t previous = low;
  for (size_t i = 1; i < ranges.size(); ++i) {
    ASSERT_TRUE(ranges[i - 1].end && ranges[i].start);
    EXPECT_EQ(*ranges[i - 1].end, *ranges[i].start);
    const int64_t boundary = std::stoll(*ranges[i].start);
    EXPECT_GT(boundary, previous);
    EXPECT_LE(boundary, high);
    previous = boundary;
  }
}

TEST(CutEvenly, cuts_into_equal_widths) {
  const std::vector<Range> expected{
      {std::nullopt, "26"}, {"26", "51"}, {"51", "76"}, {"76", std::nullopt}};
  EXPECT_EQ(cut_evenly(1, 100, 4), expected);
}

TEST(CutEvenly, makes_no_more_pieces_than_keys) {
  EXPECT_EQ(cut_evenly(7, 9, 100).size(), 3U);
  EXPECT_EQ(cut_evenly(7, 7, 100), std::vector<Range>{Range{}});
}

TEST(CutEvenly, covers_the_whole_span_of_bigint) {
  for (const int pieces : {1, 2, 3, 7, 10000}) {
    const std::vector<Range> ranges = cut_evenly(INT64_MIN, INT64_MAX, pieces);
    EXPECT_EQ(ranges.size(), static_cast<size_t>(pieces));
    expect_exact_cover(ranges, INT64_MIN, INT64_MAX);
  }
  EXPECT_EQ(cut_evenly(INT64_MIN, INT64_MAX, 2)[0].end, "0");
}

TEST(CutEvenly, takes_nonsense_as_one_piece) {
  EXPECT_EQ(cut_evenly(5, 4, 3), std::vector<Range>{Range{}});
  EXPECT_EQ(cut_evenly(1, 100, 0), std::vector<Range>{Range{}});
  EXPECT_EQ(cut_evenly(1, 100, -1), std::vector<Range>{Range{}});
}

TEST(CutEvenly, ranges_touch_and_never_overlap) {
  std::mt19937_64 random(20241017);
  for (int i = 0; i < 2000; ++i) {
    int64_t low = static_cast<int64_t>(random());
    int64_t high = i % 2 == 0 ? static_cast<int64_t>(random())
                              : low + static_cast<int64_t>(random() % 50); // may wrap
    if (low > high)
      std::swap(low, high);
    const int pieces = 1 + static_cast<int>(random() % 64);
    expect_exact_cover(cut_evenly(low, high, pieces), low, high);
  }
}

TEST(CutBetweenBounds, needs_two_bounds) {
  EXPECT_EQ(cut_between_bounds({"1", "101"}, 2), (std::vector<Range>{{"1", "51"}, {"51", "101"}}));
  for (const Range &range : {Range{}, Range{"1", std::nullopt}, Range{std::nullopt, "1"}})
    EXPECT_EQ(cut_between_bounds(range, 4), std::vector<Range>{range});
}

TEST(CutBetweenKeys, outer_pieces_end_where_the_range_does) {
  FakeExecutor source;
  const SourceTable table = source_table({column("id", kInteger, true)});
  const Key key = Key::resolve("id", table, builtin_types(), "");
  source.answers = {one_row({"10", "19"})};
  EXPECT_EQ(cut_between_keys(source, table, key, {"5", "99"}, 2),
            (std::vector<Range>{{"5", "15"}, {"15", "99"}}));
  source.answers = {one_row({std::nullopt, std::nullopt})};
  EXPECT_EQ(cut_between_keys(source, table, key, {"5", "99"}, 2),
            (std::vector<Range>{{"5", "99"}}));
}

} // namespace
} // namespace parallel_loader
