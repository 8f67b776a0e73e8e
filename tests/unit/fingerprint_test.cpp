// fingerprint_test: ranges that both servers find the same rows in, and their fingerprints.
#include "core/verify/fingerprint.hpp"

#include "tests/unit/fake_executor.hpp"
#include "tests/unit/sample_catalog.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

constexpr TypeOid kVarchar = 1043;

/// Two tables of one column each.
struct Pair {
  Pair(TypeOid there, TypeOid here, bool is_not_null = true)
      : source(source_table({column("k", there, is_not_null)})), types(builtin_types()) {
    types.add(builtin(kVarchar, "varchar"));
    destination.columns = {{"k", here, false}};
  }

  [[nodiscard]] TablePair tables() const { return {source, types, destination, types}; }
  [[nodiscard]] std::optional<BucketKey> match(TextForm form = TextForm::kStored) const {
    return BucketKey::match(tables(), "k", form);
  }

  SourceTable source;
  Types types;
  DestinationTable destination;
};

const std::vector<Boundary> kBoundaries{{"10", "10"}, {"20", "20"}};

TEST(BucketKey, needs_types_that_sort_alike) {
  EXPECT_TRUE(Pair(kInteger, kBigint).match());
  EXPECT_TRUE(Pair(kInteger, kNumeric).match());
  EXPECT_TRUE(Pair(kUuid, kUuid).match());
  EXPECT_TRUE(Pair(kText, kVarchar).match());
  EXPECT_FALSE(Pair(kInteger, kText).match());
  EXPECT_FALSE(Pair(kDate, kTimestamp).match());
  EXPECT_FALSE(Pair(kInterval, kInterval).match());
  EXPECT_FALSE(BucketKey::match(Pair(kInteger, kInteger).tables(), "x", TextForm::kStored));
}

TEST(BucketKey, keeps_an_index_usable) {
  const std::optional<BucketKey> key = Pair(kInteger, kInteger).match();
  EXPECT_EQ(key->condition(kBoundaries, 1, 1),
            "\"k\" OPERATOR(pg_catalog.>=) '10'::\"pg_catalog\".\"int8\" AND \"k\" "
            "OPERATOR(pg_catalog.<) '20'::\"pg_catalog\".\"int8\"");
  EXPECT_EQ(key->condition(kBoundaries, 0, 0),
            "\"k\" OPERATOR(pg_catalog.<) '10'::\"pg_catalog\".\"int8\"");
  EXPECT_EQ(key->condition(kBoundaries, 2, 2),
            "\"k\" OPERATOR(pg_catalog.>=) '20'::\"pg_catalog\".\"int8\"");
  EXPECT_EQ(key->condition(kBoundaries, 0, 2), "");
  EXPECT_EQ(key->bucket(kBoundaries), "pg_catalog.width_bucket((\"k\")::\"pg_catalog\".\"int8\", "
                                      "'{\"10\",\"20\"}'::\"pg_catalog\".\"int8\"[])");
}

TEST(BucketKey, puts_rows_without_a_key_with_the_last_range) {
  const std::optional<BucketKey> key = Pair(kInteger, kInteger, false).match();
  EXPECT_TRUE(key->is_nullable());
  EXPECT_EQ(key->condition(kBoundaries, 1, 2),
            "(\"k\" OPERATOR(pg_catalog.>=) '10'::\"pg_catalog\".\"int8\" OR \"k\" IS NULL)");
  EXPECT_EQ(key->condition(kBoundaries, 0, 1),
            "\"k\" OPERATOR(pg_catalog.<) '20'::\"pg_catalog\".\"int8\"");
}

TEST(BucketKey, compares_text_by_its_bytes) {
  EXPECT_NE(Pair(kText, kText)
                .match()
                ->bucket(kBoundaries)
                .find("((\"k\")::\"pg_catalog\".\"text\" COLLATE pg_catalog.\"C\")"),
            std::string::npos);
  const std::string converted = Pair(kText, kText).match(TextForm::kUtf8)->bucket(kBoundaries);
  EXPECT_NE(converted.find("pg_catalog.convert_to((\"k\")::\"pg_catalog\".\"text\", 'UTF8')"),
            std::string::npos);
  EXPECT_NE(converted.find("\"pg_catalog\".\"bytea\"[]"), std::string::npos);
}

TEST(BucketKey, has_the_source_sort_each_bound_once) {
  FakeExecutor source;
  source.answers = {Rows(2, {"9", "9", "10", "10"})};
  const std::vector<PlannedChunk> chunks{{.range = {.start = {}, .end = "9"}},
                                         {.range = {.start = "9", .end = "10"}},
                                         {.range = {.start = "10", .end = {}}}};
  const std::vector<Boundary> boundaries =
      Pair(kInteger, kInteger).match()->sort_boundaries(source, chunks);
  EXPECT_EQ(boundaries, (std::vector<Boundary>{{"9", "9"}, {"10", "10"}}));
  EXPECT_EQ(source.calls[0].params[0], "{\"10\",\"9\"}");
  // By the value, not by the text that is the first column.
  EXPECT_TRUE(source.calls[0].sql.ends_with("ORDER BY s.v"));
}

TEST(BucketKey, takes_an_indexed_column_for_one_that_does_not_sort_alike) {
  Pair pair(kInterval, kInterval);
  pair.source.columns.push_back(column("id", kInteger));
  pair.destination.columns.push_back({"id", kBigint, false});
  FakeExecutor source;
  source.answers = {Rows(1, {"k", "id"})};
  EXPECT_EQ(choose_bucket_key(source, pair.tables(), "k", TextForm::kStored)->column(), "id");
  source.answers = {Rows(1, {"k"})};
  EXPECT_FALSE(choose_bucket_key(source, pair.tables(), "", TextForm::kStored));
}

TEST(Fingerprint, adds_up_what_sessions_return) {
  Fingerprints fingerprints;
  add_fingerprints(fingerprints, Rows(3, {"0", "5", "-17", "1", "2", "40"}));
  add_fingerprints(fingerprints, Rows(3, {std::nullopt, "1", "3"}));
  EXPECT_EQ(fingerprints.size(), 3U);
  EXPECT_EQ(fingerprints[1], (Fingerprint{2, "40"}));
  EXPECT_EQ(fingerprints[kNullBucket], (Fingerprint{1, "3"}));
}

TEST(Fingerprint, joins_range_and_filter) {
  const FingerprintPlan plan{Pair(kInteger, kInteger).match(), kBoundaries, "h", "a OR b -- all"};
  const std::string sql = fingerprint_statement(plan, "\"s\".\"t\"", 2, 2);
  EXPECT_NE(sql.find("FROM \"s\".\"t\" WHERE \"k\" OPERATOR(pg_catalog.>=) "
                     "'20'::\"pg_catalog\".\"int8\" AND (a OR b "
                     "-- all\n)) AS hashed GROUP BY bucket"),
            std::string::npos);
}

TEST(Fingerprint, is_one_range_without_a_key) {
  const FingerprintPlan plan{std::nullopt, {}, "h", ""};
  EXPECT_EQ(fingerprint_statement(plan, "\"t\"", 0, 0),
            "SELECT bucket, pg_catalog.count(*), pg_catalog.sum(hash) FROM (SELECT 0 AS bucket, h "
            "AS hash FROM \"t\") AS hashed GROUP BY bucket");
}

TEST(DealBuckets, leaves_none_out_and_none_twice) {
  for (const size_t buckets : {1U, 2U, 7U, 100U}) {
    for (const size_t parts : {0U, 1U, 3U, 64U}) {
      size_t next = 0;
      for (const auto &[first, last] : deal_buckets(buckets, parts)) {
        EXPECT_EQ(first, next);
        EXPECT_LE(first, last);
        next = last + 1;
      }
      EXPECT_EQ(next, buckets);
    }
  }
}

} // namespace
} // namespace parallel_loader
