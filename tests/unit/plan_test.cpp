// plan_test: cutting of ranges into chunks that touch and never overlap.
#include "core/plan.hpp"

#include "tests/unit/fake_executor.hpp"
#include "tests/unit/sample_catalog.hpp"

#include <climits>
#include <gtest/gtest.h>
#include <random>

namespace parallel_loader {
namespace {

using namespace testing;

constexpr int64_t kMegabyte = 1 << 20;

// Each key of [low, high] lies in exactly one range, and no range is empty.
void expect_exact_cover(const std::vector<Range> &ranges, int64_t low, int64_t high) {
  ASSERT_FALSE(ranges.empty());
  EXPECT_FALSE(ranges.front().start);
  EXPECT_FALSE(ranges.back().end);
  int64_t previous = low;
  for (size_t i = 1; i < ranges.size(); ++i) {
    ASSERT_TRUE(ranges[i - 1].end && ranges[i].start);
    EXPECT_EQ(*ranges[i - 1].end, *ranges[i].start);
    const int64_t border = std::stoll(*ranges[i].start);
    EXPECT_GT(border, previous);
    EXPECT_LE(border, high);
    previous = border;
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

class PlanTest : public ::testing::Test {
protected:
  std::vector<Range> plan(std::string_view key_name, const Range &range = {}) {
    const Key key = Key::resolve(key_name, table, types, "");
    std::vector<Range> ranges;
    for (PlannedChunk &chunk : plan_chunks(source, {.table = table,
                                                   .key = key,
                                                   .range = range,
                                                   .filter = filter,
                                                   .workers = 4,
                                                   .chunk_bytes = 8 * kMegabyte}))
      ranges.push_back(std::move(chunk.range));
    return ranges;
  }

  // The answers to has_index_on and to min and max.
  void answer(std::string low, std::string high) {
    source.answers = {one_row({"t"}), one_row({low, high, std::nullopt, std::nullopt})};
  }

  FakeExecutor source;
  Types types = builtin_types();
  SourceTable table =
      source_table({column("id", kInteger, true), column("n", kBigint), column("x", kText)});
  std::string filter;
};

TEST_F(PlanTest, without_key_all_is_one_piece) {
  EXPECT_EQ(plan(""), std::vector<Range>{Range{}});
  EXPECT_TRUE(source.calls.empty());
}

TEST_F(PlanTest, cuts_by_size_but_gives_each_worker_several) {
  table.bytes = 100 * kMegabyte;
  answer("1", "1000000");
  EXPECT_EQ(plan("id").size(), 16U);
  table.bytes = 1000 * kMegabyte;
  answer("1", "1000000");
  EXPECT_EQ(plan("id").size(), 125U);
  table.bytes = 1000000 * kMegabyte;
  answer("1", "1000000");
  EXPECT_EQ(plan("id").size(), 10000U);
}

TEST_F(PlanTest, small_tables_are_not_cut) {
  table.bytes = kMegabyte - 1;
  answer("1", "1000000");
  EXPECT_EQ(plan("id"), std::vector<Range>{Range{}});
  table.bytes = 3 * kMegabyte;
  answer("1", "1000000");
  EXPECT_EQ(plan("id").size(), 3U);
}

TEST_F(PlanTest, without_index_the_bounds_are_cut_once_per_worker) {
  table.bytes = 1000 * kMegabyte;
  source.answers = {one_row({"f"})};
  EXPECT_EQ(plan("id", {"1", "101"}),
            (std::vector<Range>{{"1", "26"}, {"26", "51"}, {"51", "76"}, {"76", "101"}}));
  EXPECT_EQ(source.calls.size(), 1U);
}

TEST_F(PlanTest, without_index_an_open_range_is_one_piece) {
  table.bytes = 1000 * kMegabyte;
  for (const Range &range : {Range{}, Range{"1", std::nullopt}, Range{std::nullopt, "1"}}) {
    source.answers = {one_row({"f"})};
    EXPECT_EQ(plan("id", range), std::vector<Range>{range});
  }
}

TEST_F(PlanTest, views_of_unknown_size_are_cut_once_per_worker) {
  table.kind = 'v';
  source.answers = {one_row({"f"})};
  EXPECT_EQ(plan("id", {"1", "1001"}).size(), 4U);
}

TEST_F(PlanTest, nullable_key_gets_a_chunk_for_its_nulls) {
  table.bytes = 2 * kMegabyte;
  answer("1", "10");
  const std::vector<Range> chunks = plan("n");
  ASSERT_EQ(chunks.size(), 3U);
  EXPECT_EQ(chunks.back(), (Range{.start = {}, .end = {}, .nulls = true}));
}

TEST_F(PlanTest, nulls_lie_in_no_range_with_a_bound) {
  table.bytes = 2 * kMegabyte;
  source.answers = {one_row({"t"}), one_row({"1", "10", "1", "10"})};
  for (const Range &chunk : plan("n", {"1", std::nullopt}))
    EXPECT_FALSE(chunk.nulls);
}

TEST_F(PlanTest, empty_table_still_gets_its_chunks) {
  table.bytes = 0;
  source.answers = {one_row({"t"}),
                    one_row({std::nullopt, std::nullopt, std::nullopt, std::nullopt})};
  EXPECT_EQ(plan("n"), (std::vector<Range>{{}, {.start = {}, .end = {}, .nulls = true}}));
}

TEST_F(PlanTest, outer_chunks_end_where_the_range_does) {
  table.bytes = 2 * kMegabyte;
  source.answers = {one_row({"t"}), one_row({"10", "19", "10", "19"})};
  EXPECT_EQ(plan("id", {"5", "99"}), (std::vector<Range>{{"5", "15"}, {"15", "99"}}));
}

TEST_F(PlanTest, range_of_a_huge_table_is_cut_by_its_share) {
  table.bytes = 100000 * kMegabyte;
  source.answers = {one_row({"t"}), one_row({"1", "1000", "1", "1000000"})};
  EXPECT_EQ(plan("id", {"1", "1001"}).size(), 16U); // 100 MB
}

TEST_F(PlanTest, other_keys_make_one_chunk) {
  EXPECT_EQ(plan("x", {"a", std::nullopt}), (std::vector<Range>{{"a", std::nullopt}}));
  EXPECT_EQ(plan("x").size(), 2U);
  EXPECT_EQ(plan("ctid"), std::vector<Range>{Range{}});
  EXPECT_TRUE(source.calls.empty());
}

TEST_F(PlanTest, comment_at_the_filters_end_hides_nothing) {
  filter = "id % 2 = 0 -- even";
  answer("1", "10");
  (void)plan("n");
  EXPECT_NE(source.calls.at(1).sql.find("(id % 2 = 0 -- even\n)"), std::string::npos);
}

} // namespace
} // namespace parallel_loader
