// source_relations_test: what the source says of the relations that a session has locked, and what
// it cannot say.
#include "core/source/source_relations.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_executor.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

ShapeLine relation(const char *oid, const char *place) {
  return {.part = ShapePart::kRelation, .name = oid, .place = place, .type = {}, .words = "r"};
}

TEST(SourceRelations, reads_what_is_locked) {
  FakeExecutor source;
  source.answers = {one_row({"16384", "16390", "public.flt", "f", "r"})};
  EXPECT_EQ(locked_relations(source),
            (Shape{{ShapePart::kRelation, "16384", "r", "16390", "public.flt"}}));
}

TEST(SourceRelations, one_with_another_file_is_told) {
  FakeExecutor source;
  source.answers = {one_row({"16384", "16390", "public.flt", "t", "r"})};
  EXPECT_SQLSTATE("55000", locked_relations(source));
}

TEST(SourceRelations, an_oid_that_is_none_breaks_the_protocol) {
  for (const char *oid : {"", "x", "-1", "99999999999999999999"}) {
    FakeExecutor source;
    source.answers = {one_row({oid, "16390", "public.flt", "f", "r"})};
    EXPECT_SQLSTATE("08P01", locked_relations(source)) << oid;
    source.answers = {one_row({oid, "public.flt"})};
    EXPECT_SQLSTATE("08P01", partition_tree(source, 16384)) << oid;
    source.answers = {one_row({"columns", "public", "flt", oid, std::nullopt})};
    EXPECT_SQLSTATE("08P01", find_written_columns(source, {relation("16384", "r")})) << oid;
  }
}

TEST(SourceRelations, columns_that_were_written_are_for_a_look_at_now) {
  FakeExecutor source;
  source.answers = {one_row({"columns", "public", "flt", "16384", std::nullopt})};
  const Shape locked = {relation("16384", "r")};
  const std::vector<ExpectedRelation> written = find_written_columns(source, locked);
  ASSERT_EQ(written.size(), 1U);
  EXPECT_EQ(written.front().oid, 16384U);

  FakeExecutor now;
  source.answers = {one_row({"16384", "77", std::nullopt})};
  now.answers = {one_row({"16384", "77", std::nullopt})};
  EXPECT_NO_THROW(require_columns_as_snapshot(source, now, locked, written));
  source.answers = {one_row({"16384", "77", std::nullopt})};
  now.answers = {one_row({"16384", "78", std::nullopt})};
  EXPECT_SQLSTATE("55000", require_columns_as_snapshot(source, now, locked, written));
  source.answers = {one_row({"16384", "77", std::nullopt})};
  now.answers = {one_row({"16384", "77", "16400"})}; // it inherits by now
  EXPECT_SQLSTATE("55000", require_columns_as_snapshot(source, now, locked, written));
  source.answers = {one_row({"16384", "77", std::nullopt})}; // now it is gone
  EXPECT_SQLSTATE("55000", require_columns_as_snapshot(source, now, locked, written));
}

TEST(SourceRelations, what_cannot_be_harmless_ends_the_pull_at_once) {
  for (const char *what : {"child", "rule", "labels"}) {
    FakeExecutor source;
    source.answers = {one_row({what, "public", "flt", "16384", "mood"})};
    EXPECT_SQLSTATE("55000", find_written_columns(source, {relation("16384", "r")})) << what;
  }
}

TEST(SourceRelations, content_is_part_of_what_is_compared) {
  FakeExecutor source;
  source.answers = {one_row({"16384", "77", std::nullopt}),
                    one_row({"16401", "mood", "good\nbad"})};
  Shape locked = {relation("16384", "v")};
  add_content(source, locked);
  ASSERT_EQ(locked.size(), 2U);
  EXPECT_EQ(locked[0].place, "v:77");
  EXPECT_EQ(locked[1],
            (ShapeLine{ShapePart::kMemberLabels, "16401", "16401", "good\nbad", "mood"}));
}

TEST(SourceRelations, a_namesake_of_what_the_filter_reads_is_found) {
  const Shape planned = {{ShapePart::kFilterRelation, "16384", "r:1", "7", "blue.\"F 1\""}};
  const auto locked = [](const char *oid, const char *name) {
    return Shape{{ShapePart::kRelation, oid, "r", "7", name}};
  };
  EXPECT_EQ(find_namesake(planned, locked("16390", "green.\"F 1\""), {})->name, "16390");
  EXPECT_EQ(find_namesake(planned, locked("16384", "green.\"F 1\""), {}), nullptr); // renamed
  EXPECT_EQ(find_namesake(planned, locked("16390", "green.f"), {}), nullptr);       // of a function
  EXPECT_EQ(find_namesake(planned, locked("16390", "green.\"F 1\""), {16390}), nullptr);
  EXPECT_EQ(find_namesake({}, locked("16390", "green.\"F 1\""), {}), nullptr);
}

TEST(SourceRelations, a_plan_of_0_4_knows_no_columns_of_members) {
  const Shape of_0_4 = {relation("16384", "v"), relation("16385", "r")};
  const Shape planned = {relation("16384", "v:77"), relation("16385", "r:8")};
  EXPECT_FALSE(find_member_change(of_0_4, planned));
  EXPECT_FALSE(find_member_change(planned, planned));
  EXPECT_TRUE(find_member_change(planned, {relation("16384", "v:77"), relation("16385", "r:9")}));
  EXPECT_TRUE(find_member_change(of_0_4, {relation("16384", "v:77"), relation("16385", "p:8")}));
  EXPECT_TRUE(find_member_change(of_0_4, {relation("16384", "v:77")}));
}

} // namespace
} // namespace parallel_loader
