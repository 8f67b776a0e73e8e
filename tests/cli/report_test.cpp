// report_test: the end of a run, for people and for programs.
#include "orchestrator/base/condition.hpp"
#include "orchestrator/base/message.hpp"
#include "orchestrator/display/report.hpp"
#include "tests/cli/golden.hpp"

#include <nlohmann/json.hpp>

namespace parallel_loader {
namespace {

Run loaded() {
  return {.table = "sales.orders",
          .destination = "sales.orders",
          .pull_id = 7,
          .state = RunState::kDone,
          .row_count = 412'004'118,
          .byte_count = 111LL << 30,
          .chunk_count = 888,
          .chunk_done_count = 888,
          .session_count = 8,
          .elapsed = std::chrono::seconds(271)};
}

Run stopped(RunState state) {
  auto run = loaded();
  run.state = state;
  run.row_count = 5'567'600;
  run.byte_count = 1536LL << 20;
  run.chunk_done_count = 12;
  run.elapsed = std::chrono::milliseconds(4210);
  return run;
}

const Error kDuplicate("23505", "duplicate key value violates unique constraint \"orders_pkey\"",
                       "Key (id)=(1) already exists.", "Empty the table first.");

TEST(Report, summary_of_a_loaded_table) {
  expect_golden("summary_done.txt", summary_text(loaded(), nullptr, Color::kOff));
}

TEST(Report, summary_of_a_failed_table) {
  expect_golden("summary_failed.txt",
                summary_text(stopped(RunState::kFailed), &kDuplicate, Color::kOff));
}

TEST(Report, summary_of_a_cancelled_table) {
  const Error interrupted("57014", "interrupted by a signal");
  expect_golden("summary_cancelled.txt",
                summary_text(stopped(RunState::kCancelled), &interrupted, Color::kOff));
}

TEST(Report, summary_of_an_empty_table_under_another_name) {
  parallel_loader::Run run{
      .table = "\"Odd\nName\"", .destination = "public.t", .pull_id = 1, .state = RunState::kDone};
  expect_golden("summary_empty.txt", summary_text(run, nullptr, Color::kOff));
}

TEST(Report, ends_with_the_command_tag) {
  EXPECT_EQ(command_tag(loaded()), "COPY 412004118");
}

TEST(Report, says_what_a_stopped_run_leaves_behind) {
  const std::string there = "12 of 888 chunks are done and stay in the table. ";
  const std::string end = "empty the table before you copy it again.";
  parallel_loader::Run run = stopped(RunState::kFailed);
  run.is_held = true;
  EXPECT_EQ(
      leftover_hint(run),
      there +
          "While the snapshot is held, SELECT * FROM parallel_pull_resume(7); on the destination "
          "copies the others. Otherwise " +
          end);
  run = stopped(RunState::kCancelled);
  EXPECT_EQ(leftover_hint(run),
            there +
                "On the destination, SELECT * FROM parallel_pull_resume(7, new_snapshot => true); "
                "copies the others under a new snapshot. Otherwise " +
                end);
  run.needs_password = true;
  EXPECT_NE(
      leftover_hint(run)->find(
          "parallel_pull_resume(7, 'CONNECTION STRING WITH ITS PASSWORD', new_snapshot => true)"),
      std::string::npos);
  run.has_block_ranges = true;
  EXPECT_EQ(
      leftover_hint(run),
      there +
          "The others are ranges of ctid, which cannot be resumed without their snapshot: " + end);
}

TEST(Report, says_how_to_go_on_with_a_pull_that_could_not_be_cancelled) {
  parallel_loader::Run run = stopped(RunState::kRunning);
  run.is_left_alive = true;
  run.function_schema = "loader";
  EXPECT_NE(leftover_hint(run)->find("On the destination, SELECT * FROM "
                                     "loader.parallel_pull_work(7); copies the others. "
                                     "Otherwise cancel the pull and empty the table"),
            std::string::npos);
}

TEST(Report, has_no_hint_when_nothing_is_left_behind) {
  EXPECT_FALSE(leftover_hint(loaded()));
  auto run = stopped(RunState::kFailed);
  run.chunk_done_count = 0;
  EXPECT_FALSE(leftover_hint(run));
}

TEST(Report, json_of_a_loaded_table) {
  expect_golden("json_done.json", json_document(loaded(), nullptr) + "\n");
}

TEST(Report, json_of_a_failed_table) {
  expect_golden("json_failed.json", json_document(stopped(RunState::kFailed), &kDuplicate) + "\n");
}

TEST(Report, json_of_a_lost_destination) {
  const Error lost("08006", "connection to the destination was lost");
  parallel_loader::Run run = stopped(RunState::kInterrupted);
  run.is_known = false;
  expect_golden("json_lost.json", json_document(run, &lost) + "\n");
  expect_golden("summary_lost.txt", summary_text(run, &lost, Color::kOff));
}

TEST(Report, json_of_a_run_that_never_began) {
  const Error usage("", "no source is given");
  parallel_loader::Run run;
  run.state = RunState::kFailed;
  expect_golden("json_usage.json", json_document(run, &usage) + "\n");
}

TEST(Report, json_has_the_documented_keys_in_their_order) {
  const auto document = nlohmann::ordered_json::parse(json_document(loaded(), nullptr));
  std::vector<std::string> keys;
  for (const auto &item : document.items())
    keys.push_back(item.key());
  std::vector<std::string> documented;
  for (const JsonField &field : json_fields())
    documented.emplace_back(field.key);
  EXPECT_EQ(keys, documented);
}

TEST(Report, json_replaces_bytes_that_are_no_utf8) {
  const Error latin1("22021", "invalid byte: \xE4");
  EXPECT_TRUE(nlohmann::json::accept(json_document(loaded(), &latin1)));
}

TEST(Message, error_with_detail_and_hint) {
  expect_golden("error.txt", error_text(kDuplicate, {}));
}

TEST(Message, verbose_error_with_its_sqlstate) {
  expect_golden("error_verbose.txt", error_text(kDuplicate, {.verbosity = Verbosity::kVerbose}));
}

TEST(Message, lets_no_escape_sequence_through) {
  EXPECT_EQ(error_text(Error("XX000", "a\033[2J", "one\ntwo\r"), {}),
            "parallel-loader: error: a?[2J\nparallel-loader: detail: one\ntwo?\n");
}

TEST(Condition, names_what_it_knows_and_passes_on_the_rest) {
  EXPECT_EQ(condition_text("23505"), "unique violation (23505)");
  EXPECT_EQ(condition_text("P0001"), "P0001");
  EXPECT_EQ(condition_text(""), "error");
}

} // namespace
} // namespace parallel_loader
