// row_hash_test: the expression that both servers compute.
#include "core/verify/row_hash.hpp"

#include "tests/unit/fake_executor.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

TEST(RowHash, hashes_the_record_text_of_the_columns_in_order) {
  const std::vector<HashColumn> columns{{"id", 0}, {"odd \"name", 0}};
  EXPECT_EQ(row_hash(columns, TextForm::kStored, HashFunction::kServer),
            "pg_catalog.hashtextextended((ROW(\"id\", \"odd \"\"name\")::pg_catalog.text) COLLATE "
            "pg_catalog.\"C\", 0)");
}

TEST(RowHash, takes_a_row_without_columns) {
  EXPECT_NE(row_hash({}, TextForm::kStored, HashFunction::kServer).find("ROW()"),
            std::string::npos);
}

TEST(RowHash, makes_texts_independent_of_time_zone_and_version) {
  const std::vector<HashColumn> columns{{"at", 1184}, {"c", 18}};
  const std::string sql = row_hash(columns, TextForm::kStored, HashFunction::kServer);
  EXPECT_NE(sql.find("pg_catalog.timezone('UTC', \"at\")"), std::string::npos);
  EXPECT_NE(sql.find("(\"c\")::pg_catalog.int4"), std::string::npos);
}

TEST(RowHash, converts_where_encodings_differ) {
  EXPECT_EQ(common_text_form("UTF8", "UTF8"), TextForm::kStored);
  EXPECT_EQ(common_text_form("LATIN1", "UTF8"), TextForm::kUtf8);
  EXPECT_EQ(common_text_form("LATIN1", "SQL_ASCII"), TextForm::kStored);
  const std::vector<HashColumn> columns{{"id", 0}};
  EXPECT_NE(row_hash(columns, TextForm::kUtf8, HashFunction::kServer)
                .find("pg_catalog.encode(pg_catalog.convert_to(ROW(\"id\")::pg_catalog.text, "
                      "'UTF8'), 'escape')"),
            std::string::npos);
}

TEST(RowHash, has_another_function_where_the_servers_own_differ) {
  FakeExecutor source, destination;
  source.answers = {one_row({"1"}), one_row({"1"})};
  destination.answers = {one_row({"1"}), one_row({"2"})};
  EXPECT_EQ(common_hash_function(source, destination), HashFunction::kServer);
  EXPECT_EQ(common_hash_function(source, destination), HashFunction::kSha256);
  EXPECT_EQ(source.calls[0].sql, destination.calls[0].sql);
  const std::vector<HashColumn> columns{{"id", 0}};
  EXPECT_NE(row_hash(columns, TextForm::kStored, HashFunction::kSha256).find("pg_catalog.sha256("),
            std::string::npos);
}

} // namespace
} // namespace parallel_loader
