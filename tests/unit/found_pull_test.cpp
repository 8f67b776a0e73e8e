// found_pull_test: what look-ups of pulls ask, and what they make of the answers.
#include "core/ledger/found_pull.hpp"

#include "tests/unit/fake_executor.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

const AppendSubject kWholeTable = {
    .table = 16384, .source_database = "d", .source_table = "public.t", .filter = "a > 1"};

std::vector<std::optional<std::string>> pull_row(const std::string &id, const std::string &state,
                                                 const std::optional<std::string> &coordinator) {
  return {id,     "10", "16384",  state, "3-1", "2", "4711", coordinator ? "t" : "f",
          "pull", "4",  "host=a", "id",  "t",   "f", "t",    coordinator,
          "s.t",  "t",  "16390",  "-5",  "3"};
}

TEST(PullFinder, pull_is_read_back) {
  FakeExecutor executor;
  executor.answers = {one_row(pull_row("7", "running", "99"))};
  const std::optional<FoundPull> found = PullFinder(executor).find(7);
  ASSERT_TRUE(found);
  EXPECT_EQ(executor.calls.at(0).params, (std::vector<Param>{"7"}));
  EXPECT_EQ(found->pull_id, 7);
  EXPECT_EQ(found->owner, 10U);
  EXPECT_EQ(found->table, 16384U);
  EXPECT_EQ(found->state, PullState::kRunning);
  EXPECT_EQ(found->snapshot, "3-1");
  EXPECT_EQ(found->chunks_left, 2);
  EXPECT_EQ(found->segment, 4711U);
  EXPECT_EQ(found->kind, "pull");
  EXPECT_EQ(found->workers, 4);
  EXPECT_EQ(found->source, "host=a");
  EXPECT_EQ(found->key, "id");
  EXPECT_TRUE(found->is_begun);
  EXPECT_FALSE(found->shares_snapshot);
  EXPECT_TRUE(found->has_snapshot_lock);
  EXPECT_EQ(found->coordinator_pid, 99);
  EXPECT_EQ(found->table_name, "s.t");
  EXPECT_TRUE(found->has_table);
  EXPECT_EQ(found->ledger, 16390U);
  EXPECT_EQ(found->coordinator, -5);
  EXPECT_EQ(found->run_id, 3);
}

TEST(PullFinder, coordinator_tells_live_from_interrupted_and_held_from_ended) {
  struct Case {
    const char *state;
    std::optional<std::string> coordinator;
    PullState wanted;
    bool is_live;
    bool is_held;
  };
  const Case cases[] = {
      {"running", "99", PullState::kRunning, true, false},
      {"running", {}, PullState::kInterrupted, false, false},
      {"planned", {}, PullState::kInterrupted, false, false},
      {"failed", "99", PullState::kFailed, false, true},
      {"failed", {}, PullState::kFailed, false, false},
      {"done", {}, PullState::kDone, false, false},
  };
  for (const Case &one : cases) {
    FakeExecutor executor;
    executor.answers = {one_row(pull_row("7", one.state, one.coordinator))};
    const FoundPull found = PullFinder(executor).find(7).value();
    EXPECT_EQ(found.state, one.wanted) << one.state;
    EXPECT_EQ(found.is_live, one.is_live) << one.state;
    EXPECT_EQ(found.is_held, one.is_held) << one.state;
  }
}

TEST(PullFinder, there_may_be_none) {
  FakeExecutor executor;
  PullFinder finder(executor);
  EXPECT_FALSE(finder.find(7));
  EXPECT_EQ(finder.find_resumer(7), 0);
  EXPECT_TRUE(finder.find_live().empty());
  EXPECT_FALSE(finder.find_live_into(16384));
  EXPECT_FALSE(finder.find_begun(16384, 10));
}

TEST(PullFinder, many_are_read_in_their_order) {
  FakeExecutor executor;
  std::vector<std::optional<std::string>> cells = pull_row("9", "failed", "98");
  const size_t column_count = cells.size();
  for (const std::optional<std::string> &cell : pull_row("8", "cancelled", "97"))
    cells.push_back(cell);
  executor.answers = {Rows(column_count, cells)};
  const std::vector<FoundPull> held = PullFinder(executor).find_held();
  ASSERT_EQ(held.size(), 2U);
  EXPECT_EQ(held[0].pull_id, 9);
  EXPECT_EQ(held[1].pull_id, 8);
  EXPECT_EQ(held[1].coordinator_pid, 97);
}

TEST(PullFinder, each_look_asks_for_the_lock_of_its_class) {
  FakeExecutor executor;
  executor.answers = {Rows(), one_row({"99"})};
  PullFinder finder(executor);
  (void)finder.find(7);
  EXPECT_EQ(finder.find_resumer(7), 99);
  EXPECT_NE(executor.calls.at(0).sql.find("objsubid = 20556\n"), std::string::npos);
  EXPECT_NE(executor.calls.at(1).sql.find("objsubid = 20557"), std::string::npos);
}

TEST(PullFinder, append_looks_for_pulls_of_its_subject) {
  FakeExecutor executor;
  executor.answers = {one_row(pull_row("7", "running", "99"))};
  EXPECT_EQ(PullFinder(executor).find_live_whole(kWholeTable), 7);
  EXPECT_EQ(executor.calls.at(0).params, (std::vector<Param>{"16384", "d", "public.t", "a > 1"}));
}

TEST(PullFinder, begun_pull_is_looked_for_by_table_and_role) {
  FakeExecutor executor;
  executor.answers = {one_row({"7"}), one_row({"t"}), one_row({"f"})};
  PullFinder finder(executor);
  EXPECT_EQ(finder.find_begun(16384, 10), 7);
  EXPECT_EQ(executor.calls.at(0).params, (std::vector<Param>{"16384", "10"}));
  EXPECT_TRUE(finder.has_old_filter(7));
  EXPECT_FALSE(finder.has_old_filter(8));
}

} // namespace
} // namespace parallel_loader
