// key_sample_test: how the source is asked for a sample, and what is made of its answer.
#include "core/plan/key_sample.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_source.hpp"
#include "tests/unit/sample_catalog.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

class KeySampleTest : public ::testing::Test {
protected:
  std::optional<KeySample> sample(std::string_view key_name, const Range &range = {}) {
    const Key key = Key::resolve(key_name, table, types, "");
    source.calls.clear();
    return sample_key(
        source,
        {.from = from, .key = key, .range = range, .filter = {}, .row_size = "28", .bytes = 81920},
        {.wanted_bytes = 65536, .least_bytes = 65536, .wanted_pieces = 16, .most_pieces = 10});
  }

  [[nodiscard]] bool asked(std::string_view part) const {
    return source.asked("WITH sample").find(part) != std::string::npos;
  }

  FakeSource source;
  SampleSource from = SampleSource::of("\"s\".\"t\"", 10, 10, true);
  Types types = builtin_types();
  SourceTable table = source_table({column("id", kInteger, true), column("B c", kText)});
};

TEST_F(KeySampleTest, relation_of_few_blocks_is_read_whole) {
  EXPECT_EQ(SampleSource::of("t", 10, 10, true).method, SampleMethod::kAll);
  EXPECT_EQ(SampleSource::of("t", 11, 10, true).method, SampleMethod::kBlocks);
  EXPECT_EQ(SampleSource::of("t", 11, 10, false).method, SampleMethod::kSystem);
}

TEST_F(KeySampleTest, answer_is_read) {
  source.pieces = {{std::nullopt, "10", "1", "30", "3", "5", "4"},
                   {"it's", "20", "2", "30", "3", "5", "4"}};
  const std::optional<KeySample> found = sample("B c");
  ASSERT_TRUE(found);
  ASSERT_EQ(found->pieces.size(), 2U);
  EXPECT_EQ(found->pieces[1].start, "it's");
  EXPECT_EQ(found->pieces[1].bytes, 20);
  EXPECT_EQ(found->pieces[1].rows, 2);
  EXPECT_EQ(found->null_bytes, 30);
  EXPECT_EQ(found->null_rows, 3);
  EXPECT_EQ(found->wanted_pieces, 5);
  EXPECT_EQ(found->blocks, 4);
}

TEST_F(KeySampleTest, more_pieces_than_asked_for_are_refused) {
  source.pieces = {{std::nullopt, "10", "1", "0", "0", "5", "4"}};
  for (int i = 0; i < 40; ++i)
    source.pieces.push_back({std::to_string(i), "10", "1", "0", "0", "5", "4"});
  EXPECT_SQLSTATE("08P01", sample("id"));
}

// Two chunks without a bound between them would both have all rows.
TEST_F(KeySampleTest, piece_without_a_bound_is_refused) {
  source.pieces = {{std::nullopt, "10", "1", "0", "0", "5", "4"},
                   {std::nullopt, "10", "1", "0", "0", "5", "4"}};
  EXPECT_SQLSTATE("08P01", sample("id"));
}

TEST_F(KeySampleTest, estimates_are_kept_within_reason) {
  const std::string huge = "9223372036854775807";
  source.pieces = {{std::nullopt, huge, "-9223372036854775808", huge, huge, "1099511627776", huge}};
  const std::optional<KeySample> found = sample("id");
  ASSERT_TRUE(found);
  EXPECT_LE(found->pieces[0].bytes, 1LL << 48);
  EXPECT_EQ(found->pieces[0].rows, 0);
  EXPECT_LE(found->null_bytes, 1LL << 48);
  EXPECT_EQ(found->wanted_pieces, 10); // no more than it was asked for
}

TEST_F(KeySampleTest, keys_are_compared_in_the_type_of_the_bounds) {
  (void)sample("id");
  EXPECT_TRUE(asked("\"id\"::\"pg_catalog\".\"int8\" AS k1"));
  EXPECT_TRUE(
      asked("pg_catalog.format('%s', k1)::\"pg_catalog\".\"int8\" OPERATOR(pg_catalog.=) k1"));
}

TEST_F(KeySampleTest, bounds_lie_within_the_range) {
  (void)sample("id", {"3", "7"});
  EXPECT_TRUE(asked("is_boundary AND k1 OPERATOR(pg_catalog.>) '3'::\"pg_catalog\".\"int8\""
                    " AND k1 OPERATOR(pg_catalog.<) '7'::\"pg_catalog\".\"int8\""));
}

TEST_F(KeySampleTest, bounds_of_several_columns_are_records) {
  (void)sample("(id, \"B c\")");
  EXPECT_TRUE(asked("ROW(k1, k2)::pg_catalog.text"));
  EXPECT_TRUE(asked("OVER (ORDER BY k1, k2 ROWS UNBOUNDED PRECEDING)"));
}

TEST_F(KeySampleTest, failure_leaves_the_transaction_as_it_was) {
  source.sample_error = "42883";
  EXPECT_FALSE(sample("B c"));
  ASSERT_EQ(source.calls.size(), 4U);
  EXPECT_EQ(source.calls[0], "SAVEPOINT parallel_loader_sample");
  EXPECT_EQ(source.calls[2], "ROLLBACK TO SAVEPOINT parallel_loader_sample");
  EXPECT_EQ(source.calls[3], "RELEASE SAVEPOINT parallel_loader_sample");
}

TEST_F(KeySampleTest, other_failures_are_passed_on) {
  for (const char *code : {"08006", "57014", "42501", "55P03"}) {
    source.sample_error = code;
    EXPECT_SQLSTATE(code, sample("id"));
  }
}

TEST_F(KeySampleTest, row_size_counts_what_is_stored) {
  EXPECT_EQ(row_size_expression(source, 1, std::nullopt),
            "('32'::pg_catalog.float8 OPERATOR(pg_catalog.+) "
            "coalesce(pg_catalog.pg_column_size(\"x\"), 0))");
}

TEST_F(KeySampleTest, correlation_is_unknown_without_rows) {
  const Key key = Key::resolve("id", table, types, "");
  EXPECT_EQ(sample_correlation(source, from, key), std::nullopt);
  source.sampled_correlation = "950";
  EXPECT_EQ(sample_correlation(source, from, key), 0.95);
  for (const char *lie : {"1001", "-1", "x", ""}) {
    source.sampled_correlation = lie;
    EXPECT_SQLSTATE("08P01", sample_correlation(source, from, key)) << lie;
  }
}

} // namespace
} // namespace parallel_loader
