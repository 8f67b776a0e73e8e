// sequence_test: sequences find their counterparts, many in one statement.
#include "core/source/sequence.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_executor.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

TEST(Sequence, knows_who_owns_it) {
  FakeExecutor server;
  server.answers = {Rows(11, {"7", "s", "a_seq", "s", "a", "id", "t", "1",   "99", "f", "me", //
                              "8", "s", "loose", {},  {},  {},   "f", "-99", "-1", "t", "me"})};
  const std::vector<LocalSequence> sequences = find_local_sequences(server, std::nullopt);
  ASSERT_EQ(sequences.size(), 2U);
  EXPECT_EQ(sequences[0].oid, 7U);
  ASSERT_TRUE(sequences[0].owner);
  EXPECT_EQ(sequences[0].owner->column, "id");
  EXPECT_FALSE(sequences[1].owner);
  EXPECT_TRUE(sequences[0].may_set);
  EXPECT_FALSE(sequences[1].may_set);
  EXPECT_TRUE(sequences[1].is_descending);
  EXPECT_EQ(server.calls[0].params[0], std::nullopt);
}

TEST(Sequence, is_missing_where_the_source_has_none) {
  FakeExecutor source;
  source.answers = {Rows(7, {"2", "s", "b_seq", "t", "t", "me", "f", //
                             "2", "s", "another_one", "t", "t", "me", "f"})};
  const std::vector<SequenceOwner> owners{{{"s", "a"}, "id"}, {{"s", "b"}, "id"}};
  const auto found = find_source_sequences(source, owners);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_FALSE(found[0]);
  EXPECT_EQ(found[1], (SourceSequence{.name = {"s", "b_seq"}, .user = "me"}));
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

TEST(Sequence, answer_with_more_or_fewer_states_is_refused) {
  const std::vector<QualifiedName> names(2, {"s", "x"});
  for (const std::vector<std::optional<std::string>> &values :
       {std::vector<std::optional<std::string>>{},
        {"1", "t"},
        {"1", "t", "2", "t", "3", "t"},
        {"1", "t", {}, "t"},
        {"1", "t", "x", "t"},
        {"1", "t", "2", {}}}) {
    FakeExecutor source;
    source.answers = {Rows(2, values)};
    EXPECT_SQLSTATE("08P01", read_sequence_states(source, names)) << values.size();
  }
}

TEST(Sequence, counterpart_of_a_column_that_was_not_asked_for_is_refused) {
  const std::vector<SequenceOwner> owners{{{"s", "a"}, "id"}};
  for (const std::string position : {"0", "2", "-1", "9223372036854775807", "x", ""}) {
    FakeExecutor source;
    source.answers = {Rows(7, {position, "s", "b_seq", "t", "t", "me", "f"})};
    EXPECT_SQLSTATE("08P01", find_source_sequences(source, owners)) << position;
  }
}

TEST(Sequence, is_left_alone_for_a_reason) {
  const LocalSequence local{.oid = 7,
                            .name = {"s", "a_seq"},
                            .owner = SequenceOwner{{"s", "a"}, "id"},
                            .least = 1,
                            .most = 9};
  EXPECT_EQ(why_no_match(local, SourceSequence{{"s", "a_seq"}}), "");
  EXPECT_NE(why_no_match(local, std::nullopt), "");
  EXPECT_NE(why_no_match(local, SourceSequence{.name = {"s", "a_seq"}, .is_descending = true}), "");
  EXPECT_NE(why_no_match({.oid = 7, .name = {"s", "a_seq"}}, std::nullopt), "");
  EXPECT_EQ(why_out_of_bounds(local, {9, true}), "");
  EXPECT_NE(why_out_of_bounds(local, {10, true}), "");
  EXPECT_NE(why_out_of_bounds(local, {0, false}), "");
}

TEST(Sequence, bounds_are_altered_so_that_the_value_and_the_next_ones_fit) {
  LocalSequence local = {.oid = 7, .name = {"s", "a\"b"}, .least = 1, .most = 9};
  EXPECT_EQ(alter_bounds(local, {10, true}),
            "ALTER SEQUENCE \"s\".\"a\"\"b\" AS bigint NO MAXVALUE;");
  EXPECT_EQ(alter_bounds(local, {0, true}), "ALTER SEQUENCE \"s\".\"a\"\"b\" MINVALUE 0;");
  local.is_descending = true;
  EXPECT_EQ(alter_bounds(local, {10, true}), "ALTER SEQUENCE \"s\".\"a\"\"b\" MAXVALUE 10;");
  EXPECT_EQ(alter_bounds(local, {0, true}),
            "ALTER SEQUENCE \"s\".\"a\"\"b\" AS bigint NO MINVALUE;");
}

TEST(Sequence, right_that_is_missing_can_be_granted) {
  EXPECT_EQ(grant_to_set({.oid = 7, .name = {"s", "a\"b"}, .user = "me"}),
            "GRANT UPDATE ON SEQUENCE \"s\".\"a\"\"b\" TO \"me\";");
  EXPECT_EQ(grant_to_read({.name = {"s", "a"}, .may_read = false, .user = "me"}),
            "GRANT SELECT ON SEQUENCE \"s\".\"a\" TO \"me\";");
  EXPECT_EQ(
      grant_to_read({.name = {"s", "a"}, .may_read = true, .may_use_schema = false, .user = "me"}),
      "GRANT USAGE ON SCHEMA \"s\" TO \"me\";");
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
