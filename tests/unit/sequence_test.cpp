// sequence_test: sequences find their counterparts, many in one statement.
#include "core/sequence.hpp"

#include "tests/unit/fake_executor.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

TEST(Sequence, knows_who_owns_it) {
  FakeExecutor server;
  server.answers = {Rows(6, {"7", "s", "a_seq", "s", "a", "id", "8", "s", "loose", {}, {}, {}})};
  const std::vector<LocalSequence> sequences = find_local_sequences(server, std::nullopt);
  ASSERT_EQ(sequences.size(), 2U);
  EXPECT_EQ(sequences[0].oid, 7U);
  ASSERT_TRUE(sequences[0].owner);
  EXPECT_EQ(sequences[0].owner->column, "id");
  EXPECT_FALSE(sequences[1].owner);
  EXPECT_EQ(server.calls[0].params[0], std::nullopt);
}

TEST(Sequence, is_missing_where_the_source_has_none) {
  FakeExecutor source;
  source.answers = {Rows(3, {"2", "s", "b_seq", "2", "s", "another_one"})};
  const std::vector<SequenceOwner> owners{{{"s", "a"}, "id"}, {{"s", "b"}, "id"}};
  const auto found = find_source_sequences(source, owners);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_FALSE(found[0]);
  EXPECT_EQ(found[1], (QualifiedName{"s", "b_seq"}));
  EXPECT_EQ(source.calls[0].params[1], "{\"a\",\"b\"}");
}

TEST(Sequence, is_read_with_others_in_one_statement) {
  FakeExecutor source;
  std::vector<std::optional<std::string>> first, rest;
  for (int i = 0; i < 200; ++i)
    first.insert(first.end(), {std::to_string(i), "t"});
  for (int i = 200; i < 250; ++i)
    rest.insert(rest.end(), {std::to_string(i), "f"});
  source.answers = {Rows(2, first), Rows(2, rest)};
  const std::vector<QualifiedName> names(250, {"s", "x\"y"});
  const std::vector<SequenceState> states = read_sequence_states(source, names);
  ASSERT_EQ(states.size(), 250U);
  EXPECT_EQ(states[249].last_value, 249);
  EXPECT_FALSE(states[249].is_called);
  EXPECT_EQ(source.calls.size(), 2U);
  EXPECT_TRUE(
      source.calls[1].sql.starts_with("SELECT last_value, is_called FROM \"s\".\"x\"\"y\""));
}

TEST(Sequence, is_not_asked_for_when_there_is_none) {
  FakeExecutor source;
  EXPECT_TRUE(read_sequence_states(source, {}).empty());
  EXPECT_TRUE(source.calls.empty());
}

TEST(Sequence, is_set_with_value_and_flag) {
  FakeExecutor server;
  set_sequence(server, 7, {-5, false});
  EXPECT_EQ(server.calls[0].params, (std::vector<Param>{"7", "-5", "false"}));
}

} // namespace
} // namespace parallel_loader
