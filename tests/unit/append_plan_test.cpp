// append_plan_test: which rows an append takes for new, by the plan's conditions and by simulation.
#include "core/ledger/append_plan.hpp"

#include "tests/unit/append_model.hpp"
#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_executor.hpp"
#include "tests/unit/sample_catalog.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

constexpr int64_t kSpan = int64_t{1} << 32;

const SourceIdentity kIdentity = {
    .system_identifier = "7001", .timeline = "1", .database = "d", .lsn = {}};
const std::vector<std::string> kRelations = {"100:100"};

AppendMark mark_at(int64_t horizon, int64_t compare_to) {
  return {.horizon = horizon,
          .compare_to = compare_to,
          .relations = kRelations,
          .system_identifier = "7001",
          .timeline = "1",
          .key = {},
          .highest_key = {},
          .pull_id = 0};
}

AppendPlan plan(const std::optional<AppendMark> &mark, SnapshotBounds bounds,
                const std::vector<std::string> &relations = kRelations) {
  return plan_append(mark, bounds, relations, kIdentity);
}

// True if the condition takes a row of this transaction.
bool takes(const std::optional<std::string> &condition, int64_t xid, int64_t relation = 100) {
  return condition && append_condition_holds(*condition, xid % kSpan, relation);
}

TEST(AppendPlan, without_a_mark_all_ended_transactions_are_new) {
  const AppendPlan first = plan(std::nullopt, {.xmin = 700, .xmax = 720});
  EXPECT_FALSE(first.compare);
  for (const int64_t xid : {1, 2, 3, 699})
    EXPECT_TRUE(takes(first.direct, xid)) << xid;
  EXPECT_FALSE(takes(first.direct, 700));
  EXPECT_EQ(first.next.horizon, 700);
  EXPECT_EQ(first.next.compare_to, 700);
  EXPECT_EQ(first.next.relations, kRelations);
  EXPECT_EQ(first.next.system_identifier, "7001");
  EXPECT_EQ(first.next.timeline, "1");
}

TEST(AppendPlan, between_two_appends_nothing_is_compared) {
  const AppendPlan next = plan(mark_at(700, 700), {.xmin = 800, .xmax = 900});
  EXPECT_FALSE(next.compare);
  EXPECT_FALSE(takes(next.direct, 699));
  EXPECT_TRUE(takes(next.direct, 700));
  EXPECT_TRUE(takes(next.direct, 799));
  EXPECT_FALSE(takes(next.direct, 800));
  EXPECT_FALSE(takes(next.direct, 750, 101)) << "a relation of others";
}

TEST(AppendPlan, horizon_that_has_not_moved_brings_nothing) {
  const AppendPlan next = plan(mark_at(700, 700), {.xmin = 700, .xmax = 900});
  EXPECT_FALSE(next.direct);
  EXPECT_FALSE(next.compare);
  EXPECT_EQ(next.next.horizon, 700);
}

TEST(AppendPlan, what_a_pull_may_have_seen_is_compared) {
  const AppendPlan next = plan(mark_at(700, 750), {.xmin = 800, .xmax = 800});
  for (const int64_t xid : {700, 749}) {
    EXPECT_TRUE(takes(next.compare, xid)) << xid;
    EXPECT_FALSE(takes(next.direct, xid)) << xid;
  }
  for (const int64_t xid : {750, 799}) {
    EXPECT_FALSE(takes(next.compare, xid)) << xid;
    EXPECT_TRUE(takes(next.direct, xid)) << xid;
  }
  EXPECT_EQ(next.next.compare_to, 800);
}

TEST(AppendPlan, transaction_open_since_the_pull_keeps_the_rest_to_be_compared) {
  const AppendPlan next = plan(mark_at(700, 750), {.xmin = 720, .xmax = 800});
  EXPECT_TRUE(takes(next.compare, 719));
  EXPECT_FALSE(takes(next.compare, 720));
  EXPECT_FALSE(next.direct);
  EXPECT_EQ(next.next.horizon, 720);
  EXPECT_EQ(next.next.compare_to, 750);
}

TEST(AppendPlan, standby_behind_the_mark_moves_it_not_back) {
  const AppendPlan next = plan(mark_at(700, 750), {.xmin = 690, .xmax = 710});
  EXPECT_FALSE(next.direct);
  EXPECT_FALSE(next.compare);
  EXPECT_EQ(next.next.horizon, 700);
  EXPECT_EQ(next.next.compare_to, 750);
}

TEST(AppendPlan, rewritten_and_new_relations_are_compared_whole) {
  const AppendPlan next =
      plan(mark_at(700, 700), {.xmin = 800, .xmax = 800}, {"100:555", "101:101"});
  EXPECT_FALSE(next.direct);
  for (const int64_t relation : {100, 101}) {
    EXPECT_TRUE(takes(next.compare, 3, relation));
    EXPECT_TRUE(takes(next.compare, 799, relation));
    EXPECT_FALSE(takes(next.compare, 800, relation));
  }
  EXPECT_EQ(next.next.relations, (std::vector<std::string>{"100:555", "101:101"}));
}

TEST(AppendPlan, rewriter_above_the_horizon_is_compared_next_time) {
  const AppendPlan next = plan(mark_at(700, 700), {.xmin = 800, .xmax = 900}, {"100:555"});
  EXPECT_FALSE(takes(next.compare, 850));
  const AppendPlan after = plan(next.next, {.xmin = 950, .xmax = 950}, {"100:555"});
  EXPECT_TRUE(takes(after.compare, 850));
  EXPECT_FALSE(takes(after.direct, 850));
  EXPECT_TRUE(takes(after.direct, 900));
}

TEST(AppendPlan, known_relations_stay_known_beside_new_ones) {
  const AppendPlan next =
      plan(mark_at(700, 750), {.xmin = 800, .xmax = 800}, {"100:100", "101:101"});
  EXPECT_TRUE(takes(next.compare, 5, 101));
  EXPECT_FALSE(takes(next.compare, 5, 100));
  EXPECT_TRUE(takes(next.compare, 720, 100));
  EXPECT_TRUE(takes(next.direct, 760, 100));
  EXPECT_FALSE(takes(next.direct, 760, 101));
}

TEST(AppendPlan, source_without_a_relation_has_nothing) {
  const AppendPlan next = plan(mark_at(700, 750), {.xmin = 800, .xmax = 800}, {});
  EXPECT_FALSE(next.direct);
  EXPECT_FALSE(next.compare);
}

TEST(AppendPlan, another_timeline_makes_all_relations_strange) {
  AppendMark mark = mark_at(700, 700);
  mark.timeline = "2";
  const AppendPlan next = plan(mark, {.xmin = 800, .xmax = 800});
  EXPECT_FALSE(next.direct);
  EXPECT_TRUE(takes(next.compare, 5));
  mark.timeline.clear(); // not known
  EXPECT_TRUE(plan(mark, {.xmin = 800, .xmax = 800}).direct);
}

TEST(AppendPlan, source_behind_the_marks_wal_is_refused) {
  AppendMark mark = mark_at(700, 700);
  mark.lsn = "0/5000000";
  SourceIdentity identity = kIdentity;
  const auto append = [&] {
    return plan_append(mark, {.xmin = 900, .xmax = 900}, kRelations, identity);
  };
  identity.lsn = "0/4FFFFFF";
  EXPECT_SQLSTATE("55000", (void)append());
  identity.lsn = "0/5000000";
  EXPECT_EQ(append().next.lsn, "0/5000000");
  identity.lsn = "0/1"; // of another timeline: compared row by row
  identity.timeline = "2";
  EXPECT_TRUE(append().compares_all);
}

TEST(AppendPlan, only_what_looks_for_all_rows_compares_all) {
  const SnapshotBounds bounds = {.xmin = 900, .xmax = 900};
  EXPECT_FALSE(plan(std::nullopt, bounds).compares_all);
  EXPECT_FALSE(plan(mark_at(700, 800), bounds).compares_all);
  EXPECT_FALSE(plan(mark_at(700, 700), bounds, {"100:100", "200:200"}).compares_all);
  EXPECT_TRUE(plan(mark_at(700, 700), bounds, {"100:101"}).compares_all);
}

TEST(AppendPlan, other_or_older_source_is_refused) {
  AppendMark mark = mark_at(700, 700);
  EXPECT_SQLSTATE("55000", plan(mark, {.xmin = 690, .xmax = 699}));
  mark.system_identifier = "7002";
  const Error error = catch_error([&] { (void)plan(mark, {.xmin = 800, .xmax = 800}); });
  EXPECT_EQ(error.sqlstate(), "55000");
  EXPECT_NE(error.hint(), "");
  mark.system_identifier.clear(); // not known
  EXPECT_NO_THROW((void)plan(mark, {.xmin = 800, .xmax = 800}));
}

TEST(AppendPlan, after_a_wrap_around_without_a_mark_all_is_new) {
  for (const SnapshotBounds bounds :
       {SnapshotBounds{kSpan - 10, kSpan}, SnapshotBounds{kSpan + 10, kSpan + 20}}) {
    const AppendPlan first = plan(std::nullopt, bounds);
    EXPECT_EQ(first.direct, "true");
    EXPECT_FALSE(first.compare);
    EXPECT_EQ(first.next.horizon, bounds.xmin);
  }
}

TEST(AppendPlan, window_across_the_wrap_is_compared) {
  const AppendPlan next =
      plan(mark_at(kSpan - 100, kSpan - 100), {.xmin = kSpan + 50, .xmax = kSpan + 60});
  EXPECT_FALSE(next.direct);
  for (const int64_t xid : {kSpan - 100, kSpan - 1, kSpan + 3, kSpan + 49})
    EXPECT_TRUE(takes(next.compare, xid)) << xid;
  for (const int64_t xid : {kSpan - 101, kSpan + 50, kSpan + 51})
    EXPECT_FALSE(takes(next.compare, xid)) << xid;
}

TEST(AppendPlan, windows_of_later_rounds_are_compared_modulo) {
  const int64_t base = 7 * kSpan;
  const AppendPlan next =
      plan(mark_at(base + 500, base + 500), {.xmin = base + 600, .xmax = base + 600});
  EXPECT_FALSE(next.direct);
  EXPECT_FALSE(takes(next.compare, base + 499));
  EXPECT_TRUE(takes(next.compare, base + 500));
  EXPECT_TRUE(takes(next.compare, base + 599));
  EXPECT_FALSE(takes(next.compare, base + 600));
}

TEST(AppendPlan, snapshot_that_ends_at_the_limit_is_compared_too) {
  const AppendPlan next =
      plan(mark_at(kSpan - 100, kSpan - 100), {.xmin = kSpan - 50, .xmax = kSpan});
  EXPECT_FALSE(next.direct);
  EXPECT_TRUE(takes(next.compare, kSpan - 51));
  EXPECT_FALSE(takes(next.compare, kSpan - 50));
}

TEST(AppendPlan, window_of_half_the_span_tells_nothing) {
  const int64_t low = kSpan;
  const SnapshotBounds just_below = {low + kSpan / 2 - 1, low + kSpan / 2 - 1};
  const SnapshotBounds half = {low + kSpan / 2, low + kSpan / 2};
  EXPECT_FALSE(takes(plan(mark_at(low, low), just_below).compare, low - 1));
  EXPECT_TRUE(takes(plan(mark_at(low, low), half).compare, low - 1));
}

TEST(AppendPlan, wrapped_and_strange_relations_are_compared_whole) {
  const AppendPlan next =
      plan(mark_at(kSpan, kSpan), {.xmin = kSpan + 9, .xmax = kSpan + 9}, {"200:200"});
  EXPECT_TRUE(takes(next.compare, 5, 200));
  EXPECT_FALSE(takes(next.compare, 5, 100));
}

TEST(AppendPlan, settled_rows_are_those_below_the_horizon) {
  const std::string plain = plan(std::nullopt, {.xmin = 700, .xmax = 720}).settled;
  EXPECT_TRUE(takes(plain, 2));
  EXPECT_TRUE(takes(plain, 699));
  EXPECT_FALSE(takes(plain, 700));
  const std::string wrapped = plan(std::nullopt, {.xmin = kSpan - 5, .xmax = kSpan + 10}).settled;
  EXPECT_TRUE(takes(wrapped, kSpan - 6));
  EXPECT_FALSE(takes(wrapped, kSpan - 5));
  EXPECT_FALSE(takes(wrapped, kSpan + 9));
  EXPECT_TRUE(takes(wrapped, 10));
  EXPECT_EQ(plan(std::nullopt, {.xmin = kSpan + 10, .xmax = kSpan + 10}).settled, "true");
}

TEST(AppendPlan, relations_are_read_as_oid_and_filenode) {
  FakeExecutor executor;
  executor.answers = {Rows(2, {"1:2", "f", "3:4", "f", "5:0", "t"}), Rows(2, {"5:0", "t"}),
                      Rows(2, {})};
  EXPECT_EQ(read_relations(executor, source_table({})), (std::vector<std::string>{"1:2", "3:4"}));
  EXPECT_EQ(executor.calls.at(0).params.at(0), "16384");
  EXPECT_EQ(executor.calls.at(0).sql.find("pg_relation_filenode"), std::string::npos)
      << "which looks past the snapshot";
  EXPECT_TRUE(read_relations(executor, source_table({})).empty()) << "no partitions";
  EXPECT_EQ(catch_error([&] { (void)read_relations(executor, source_table({})); }).sqlstate(),
            "08P01")
      << "not even the table";
}

TEST(AppendPlan, relations_are_joined_by_blanks) {
  EXPECT_EQ(join_relations({}), "");
  EXPECT_EQ(join_relations({"1:2", "3:4"}), "1:2 3:4");
}

TEST(AppendPlan, only_tables_know_who_has_inserted_a_row) {
  FakeExecutor executor;
  executor.answers = {one_row({"t"}), one_row({"f"})};
  EXPECT_NO_THROW(require_appendable(executor, source_table({})));
  const Error error = catch_error([&] { require_appendable(executor, source_table({})); });
  EXPECT_EQ(error.sqlstate(), "0A000");
  EXPECT_NE(error.message().find("\"public.t\""), std::string::npos) << error.message();
}

// ---- by simulation ----

class AppendSimulation : public ::testing::TestWithParam<uint32_t> {};

// Whatever the writers do and whenever appends run, each committed row arrives once.
TEST_P(AppendSimulation, each_row_is_taken_exactly_once) {
  AppendModel model(GetParam());
  for (int turn = 0; turn < 60; ++turn) {
    model.write();
    model.append();
    ASSERT_EQ(model.complaint(), "") << "seed " << GetParam() << ", turn " << turn;
  }
  model.finish();
  EXPECT_EQ(model.complaint(), "") << "seed " << GetParam();
  EXPECT_EQ(model.missing_count(), 0) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, AppendSimulation, ::testing::Range(0U, 300U));

} // namespace
} // namespace parallel_loader
