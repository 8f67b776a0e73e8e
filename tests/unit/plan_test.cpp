// plan_test: cutting of ranges into chunks that touch and never overlap.
#include "core/plan/plan.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_source.hpp"
#include "tests/unit/sample_catalog.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

constexpr int64_t kMegabyte = 1 << 20;

class PlanTest : public ::testing::Test {
protected:
  PlanTest() { source.add_leaf("t", 12800); }

  std::vector<PlannedChunk> plan(std::string_view key_name, const Range &range = {}) {
    const Key key = Key::resolve(key_name, table, types, "");
    std::vector<PlannedChunk> chunks = plan_chunks(source, {.table = table,
                                                            .key = key,
                                                            .range = range,
                                                            .filter = filter,
                                                            .workers = 4,
                                                            .chunk_bytes = chunk_bytes,
                                                            .columns = columns});
    for (PlannedChunk &chunk : chunks)
      EXPECT_NE(std::exchange(chunk.relation_oid, 0), 0U);
    return chunks;
  }

  std::vector<Range> ranges(std::string_view key_name, const Range &range = {}) {
    std::vector<Range> found;
    for (PlannedChunk &chunk : plan(key_name, range))
      found.push_back(std::move(chunk.range));
    return found;
  }

  // How many pieces the sample's statement was asked for: at most, of these bytes, at least.
  [[nodiscard]] bool sample_has(std::string_view part) const {
    return source.asked("WITH sample AS").find(part) != std::string::npos;
  }

  FakeSource source;
  Types types = builtin_types();
  SourceTable table =
      source_table({column("id", kInteger, true), column("n", kBigint), column("x", kText)});
  std::string filter;
  int64_t chunk_bytes = 8 * kMegabyte;
  std::optional<std::vector<std::string>> columns;
};

using Cuts = std::vector<std::vector<std::optional<std::string>>>;
const Cuts kTwoCuts = {{std::nullopt, "10", "1", "30", "3", "2", "350"},
                       {"5", "20", "2", "30", "3", "2", "350"}};

TEST_F(PlanTest, sample_that_asks_for_very_many_pieces_gets_few) {
  source.pieces = {{std::nullopt, "10", "1", "0", "0", "1099511627776", "1"}};
  // The range is too small to show in the sample, so it is cut by value: from 10 to 29.
  EXPECT_LE(plan("id", {"10", "30"}).size(), 20U);
}

TEST_F(PlanTest, sizes_that_no_relation_has_do_not_overflow) {
  table.kind = 'p';
  source.leaves.clear();
  for (int i = 0; i < 10; ++i) {
    source.add_leaf("p" + std::to_string(i), UINT32_MAX);
    source.leaves.back()[9] = std::to_string(1LL << 48);
    source.leaves.back()[10] = std::to_string(1LL << 48);
  }
  source.pieces = {
      {std::nullopt, "9223372036854775807", "9223372036854775807", "0", "0", "1", "1"}};
  EXPECT_EQ(plan("id").size(), 10U);
}

TEST_F(PlanTest, chunks_that_lies_multiply_have_an_end) {
  table.kind = 'p';
  source.leaves.clear();
  for (int i = 0; i < 300; ++i)
    source.add_leaf("p" + std::to_string(i), 12800000);
  source.pieces = {{std::nullopt, "1", "1", "0", "0", "1", "9999"}};
  // No more than the planner lets a partition of this size have.
  for (int i = 0; i < 800; ++i)
    source.pieces.push_back({std::to_string(i), "1", "1", "0", "0", "1", "9999"});
  EXPECT_SQLSTATE("54000", plan("id"));
}

TEST_F(PlanTest, without_key_all_is_one_piece) {
  EXPECT_EQ(ranges(""), std::vector<Range>{Range{}});
  EXPECT_EQ(source.asked("WITH sample AS"), "");
}

TEST_F(PlanTest, pieces_touch_and_are_open_at_both_ends) {
  source.pieces = kTwoCuts;
  EXPECT_EQ(plan("id"), (std::vector<PlannedChunk>{{{std::nullopt, "5"}, "", 1, 10},
                                                   {{"5", std::nullopt}, "", 2, 20}}));
}

TEST_F(PlanTest, outer_pieces_end_where_the_range_does) {
  source.pieces = kTwoCuts;
  EXPECT_EQ(ranges("n", {"1", "9"}), (std::vector<Range>{{"1", "5"}, {"5", "9"}}));
}

TEST_F(PlanTest, nullable_key_gets_a_chunk_for_its_nulls) {
  source.pieces = kTwoCuts;
  const std::vector<PlannedChunk> chunks = plan("n");
  ASSERT_EQ(chunks.size(), 3U);
  EXPECT_EQ(chunks.back(), (PlannedChunk{{.start = {}, .end = {}, .nulls = true}, "", 3, 30}));
}

TEST_F(PlanTest, one_piece_takes_its_nulls_along) {
  source.pieces = {{std::nullopt, "10", "1", "30", "3", "2", "350"}};
  EXPECT_EQ(plan("n"), (std::vector<PlannedChunk>{{Range{}, "", 4, 40}}));
}

TEST_F(PlanTest, sample_that_cannot_be_taken_makes_one_piece) {
  for (const char *code : {"42883", "22012", "0A000"}) {
    source.sample_error = code;
    EXPECT_EQ(ranges("x"), std::vector<Range>{Range{}}) << code;
  }
  EXPECT_NE(source.asked("ROLLBACK TO SAVEPOINT"), "");
}

TEST_F(PlanTest, sample_that_may_not_be_taken_is_an_error) {
  source.sample_error = "42501";
  EXPECT_SQLSTATE("42501", plan("x"));
}

TEST_F(PlanTest, small_tables_are_not_cut) {
  source.leaves.clear();
  source.add_leaf("t", 255);
  EXPECT_EQ(plan("n"), (std::vector<PlannedChunk>{{Range{}, "", 25500, 255 * 8192}}));
  EXPECT_EQ(source.asked("WITH sample AS"), "");
}

TEST_F(PlanTest, small_chunks_are_made_when_asked_for) {
  source.leaves.clear();
  source.add_leaf("t", 16);
  source.pieces = kTwoCuts;
  chunk_bytes = 65536;
  EXPECT_EQ(ranges("id").size(), 2U);
}

TEST_F(PlanTest, without_index_there_are_no_more_pieces_than_workers) {
  source.has_index = false;
  source.pieces = kTwoCuts;
  (void)plan("id");
  EXPECT_TRUE(sample_has("least('4'::pg_catalog.float8"));
}

TEST_F(PlanTest, eight_blocks_are_read_for_a_piece) {
  source.pieces = kTwoCuts;
  (void)plan("id");
  EXPECT_TRUE(sample_has("generate_series(0, 127)"));
  source.calls.clear();
  chunk_bytes = 4 * kMegabyte; // 25 pieces
  (void)plan("id");
  EXPECT_TRUE(sample_has("generate_series(0, 199)"));
}

TEST_F(PlanTest, large_table_is_read_in_less_than_a_hundredth) {
  source.leaves.clear();
  source.add_leaf("t", 100000);
  source.pieces = kTwoCuts;
  chunk_bytes = kMegabyte;
  (void)plan("id");
  EXPECT_TRUE(sample_has("generate_series(0, 799)"));
  source.calls.clear();
  source.leaves.clear();
  source.add_leaf("t", 128000000);
  (void)plan("id");
  EXPECT_TRUE(sample_has("generate_series(0, 19999)"));
}

TEST_F(PlanTest, small_table_is_read_whole_for_many_pieces) {
  source.leaves.clear();
  source.add_leaf("t", 1000);
  source.pieces = kTwoCuts;
  chunk_bytes = 65536;
  (void)plan("id");
  EXPECT_FALSE(sample_has("generate_series"));
  EXPECT_FALSE(sample_has("TABLESAMPLE"));
}

TEST_F(PlanTest, source_without_tid_ranges_is_sampled_by_the_server) {
  source.version = "130000";
  source.pieces = kTwoCuts;
  (void)plan("id");
  EXPECT_TRUE(sample_has("TABLESAMPLE pg_catalog.system"));
}

TEST_F(PlanTest, ctid_needs_ranges_of_it) {
  source.version = "130000";
  EXPECT_SQLSTATE("0A000", plan("ctid"));
  source.version = "140000";
  source.leaves.at(0).at(4) = "f";
  EXPECT_SQLSTATE("0A000", plan("ctid"));
}

TEST_F(PlanTest, ctid_needs_the_right_to_read_it) {
  source.leaves.clear();
  source.can_read_ctid = "f";
  source.add_leaf("t", 12800);
  EXPECT_SQLSTATE("42501", plan("ctid"));
}

TEST_F(PlanTest, range_too_small_for_the_sample_is_cut_by_value) {
  source.pieces = {{std::nullopt, "8000", "80", "0", "0", "2", "1"}};
  EXPECT_EQ(plan("id", {"5", "99"}),
            (std::vector<PlannedChunk>{{{"5", "20"}, "", 40, 4000}, {{"20", "99"}, "", 40, 4000}}));
  EXPECT_EQ(ranges("id").size(), 1U);
  source.has_index = false;
  EXPECT_EQ(ranges("id", {"5", "99"}).size(), 1U);
}

TEST_F(PlanTest, ctid_is_cut_between_blocks) {
  source.pieces = kTwoCuts;
  (void)plan("ctid");
  EXPECT_TRUE(sample_has(" OPERATOR(pg_catalog.||) ',0)')::pg_catalog.tid AS k1"));
}

TEST_F(PlanTest, block_worth_many_pieces_is_cut_itself) {
  source.leaves.at(0).at(9) = std::to_string(100000 * kMegabyte);
  source.pieces = kTwoCuts;
  (void)plan("ctid");
  EXPECT_TRUE(sample_has("\"ctid\"::\"pg_catalog\".\"tid\" AS k1"));
}

TEST_F(PlanTest, sizes_of_columns_that_stay_do_not_count) {
  source.pieces = kTwoCuts;
  columns = {{"id"}};
  (void)plan("id");
  EXPECT_FALSE(sample_has("CASE WHEN all_w")); // the table's own size
}

TEST_F(PlanTest, partitions_are_cut_one_by_one) {
  table.kind = 'p';
  source.leaves.clear();
  source.add_leaf("a", 12800);
  source.add_leaf("b \"", 10);
  source.add_leaf("f", 0, "f");
  source.pieces = kTwoCuts;
  EXPECT_EQ(plan("id"), (std::vector<PlannedChunk>{{{std::nullopt, "5"}, "\"public\".\"a\"", 1, 10},
                                                   {{"5", std::nullopt}, "\"public\".\"a\"", 2, 20},
                                                   {Range{}, "\"public\".\"b \"\"\"", 1000, 81920},
                                                   {Range{}, "\"public\".\"f\"", 0, 0}}));
}

TEST_F(PlanTest, partition_without_right_leaves_all_to_the_root) {
  table.kind = 'p';
  source.add_leaf("b", 10, "r", "f");
  source.pieces = kTwoCuts;
  for (const PlannedChunk &chunk : plan("id"))
    EXPECT_EQ(chunk.relation, "");
  EXPECT_TRUE(sample_has("FROM \"public\".\"t\" TABLESAMPLE pg_catalog.system"));
}

TEST_F(PlanTest, filter_that_names_the_root_is_left_to_it) {
  table.kind = 'p';
  filter = "t.id > 3";
  source.filter_error = "42P01";
  source.pieces = kTwoCuts;
  for (const PlannedChunk &chunk : plan("id"))
    EXPECT_EQ(chunk.relation, "");
}

TEST_F(PlanTest, range_of_partitions_is_left_to_the_root) {
  table.kind = 'p';
  source.pieces = kTwoCuts;
  EXPECT_EQ(ranges("id", {"1", "9"}), (std::vector<Range>{{"1", "5"}, {"5", "9"}}));
  EXPECT_TRUE(sample_has("(\"id\" OPERATOR(pg_catalog.>=) '1'"));
}

TEST_F(PlanTest, bounds_of_a_view_are_cut_once_per_worker) {
  table.kind = 'v';
  source.leaves.clear();
  EXPECT_EQ(ranges("id", {"1", "101"}),
            (std::vector<Range>{{"1", "26"}, {"26", "51"}, {"51", "76"}, {"76", "101"}}));
}

TEST_F(PlanTest, open_range_of_a_view_is_one_piece) {
  table.kind = 'v';
  source.leaves.clear();
  for (const Range &range : {Range{}, Range{"1", std::nullopt}, Range{std::nullopt, "1"}})
    EXPECT_EQ(ranges("id", range), std::vector<Range>{range});
}

TEST_F(PlanTest, comment_at_the_filters_end_hides_nothing) {
  filter = "id % 2 = 0 -- even";
  source.pieces = kTwoCuts;
  (void)plan("n");
  EXPECT_TRUE(sample_has("(id % 2 = 0 -- even\n)"));
}

} // namespace
} // namespace parallel_loader
