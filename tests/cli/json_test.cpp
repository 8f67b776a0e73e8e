// json_test: the documents of every command; tests/cli/check-json holds them against the schema.
#include "orchestrator/base/version.hpp"
#include "orchestrator/report/command_json.hpp"
#include "orchestrator/report/json_report.hpp"
#include "tests/cli/golden.hpp"
#include "tests/cli/sample_report.hpp"

#include <nlohmann/json.hpp>

namespace parallel_loader {
namespace {

using namespace sample;

/// Without the version, which is another one tomorrow, and so that people can read it.
void expect_document(const std::string &name, const std::string &document) {
  EXPECT_EQ(document.find('\n'), std::string::npos);
  auto json = nlohmann::ordered_json::parse(document);
  EXPECT_EQ(json["version"], program_version());
  json["version"] = "VERSION";
  expect_golden("json/" + name, json.dump(2) + "\n");
}

RunView one_loaded() {
  RunView run = at_the_end();
  run.pulls.resize(1);
  return run;
}

RunView one_failed() {
  RunView run = at_the_end();
  run.pulls = {run.pulls[10]};
  return run;
}

const FailureView kLost{.sqlstate = "08006",
                        .message = "connection to the destination was lost",
                        .command = "parallel-loader resume 12"};

TEST(Json, copy_of_one_table) {
  expect_document("copy_one.json", copy_document(one_loaded(), JsonDetail::kRun));
}
TEST(Json, copy_of_one_table_that_failed) {
  expect_document("copy_failed.json", copy_document(one_failed(), JsonDetail::kRun));
}
TEST(Json, copy_of_a_table_whose_destination_was_lost) {
  RunView run = one_failed();
  run.pulls[0].state = PullState::kInterrupted;
  run.pulls[0].failure = kLost;
  run.pulls[0].is_known = false;
  expect_document("copy_lost.json", copy_document(run, JsonDetail::kRun));
}
TEST(Json, copy_of_some_tables) {
  expect_document("copy_many.json", copy_document(at_the_end(), JsonDetail::kRun));
}
TEST(Json, wrong_usage) {
  RunView run;
  run.command = "copy";
  run.failure = FailureView{.message = "no source is given"};
  expect_document("copy_usage.json", copy_document(run, JsonDetail::kRun));
}
TEST(Json, resume) {
  RunView run = at_the_end();
  run.command = "resume";
  run.has_several_snapshots = true;
  expect_document("resume.json", copy_document(run, JsonDetail::kRun));
}
TEST(Json, report_file) {
  expect_document("report.json", copy_document(reported(), JsonDetail::kChunks));
}

TEST(Json, one_table_begins_with_the_keys_of_version_0_3) {
  const auto document =
      nlohmann::ordered_json::parse(copy_document(one_loaded(), JsonDetail::kRun));
  std::vector<std::string> keys;
  for (const auto &item : document.items())
    keys.push_back(item.key());
  keys.resize(15);
  EXPECT_EQ(keys,
            (std::vector<std::string>{"version", "command", "pull_id", "table", "target", "state",
                                      "rows", "bytes", "chunks", "chunks_done", "jobs",
                                      "duration_ms", "rows_per_s", "bytes_per_s", "error"}));
  EXPECT_TRUE(document["pull_id"].is_number());
  EXPECT_TRUE(document["id"].is_string());
}

TEST(Json, replaces_bytes_that_are_no_utf8) {
  RunView run = one_failed();
  run.pulls[0].failure->message = "invalid byte: \xE4";
  EXPECT_TRUE(nlohmann::json::accept(copy_document(run, JsonDetail::kChunks)));
}

TEST(Json, status) {
  RunView held = at_the_end();
  held.pulls[10].coordinator_ends = at(632'000);
  held.pulls[10].snapshot_taken = at(0);
  held.pulls[10].next_command = "parallel-loader resume 22";
  const std::vector<RunView> runs{half_way(), held};
  expect_document("status.json", status_document(runs, std::nullopt));
}

TEST(Json, plan) {
  PlannedTable orders;
  orders.source_table = orders.table = "sales.orders";
  orders.key = "id";
  orders.chunks = {{.number = 1,
                    .start = "",
                    .end = "1000000",
                    .estimated_rows = 999'999,
                    .estimated_bytes = 128 * kMB,
                    .relation = "",
                    .route = "heap",
                    .route_reason = ""},
                   {.number = 2,
                    .start = "1000000",
                    .end = "",
                    .nulls = true,
                    .estimated_rows = 500'000,
                    .estimated_bytes = 64 * kMB,
                    .relation = "sales.orders_2026",
                    .route = "copy",
                    .route_reason = "the table has trigger \"tr\""}};
  orders.warnings = {"table \"sales.orders\" has rows already"};
  PlannedTable missing;
  missing.source_table = "sales.returns";
  missing.failure = at_the_end().pulls.back().failure;
  const std::vector<PlannedTable> tables{orders, missing};
  expect_document("plan.json", plan_document(tables, std::nullopt));
}

TEST(Json, check) {
  CheckedTable table;
  table.source_table = table.table = "sales.orders";
  table.items = {{.level = "info", .item = "source", .message = "PostgreSQL 12.22", .hint = ""},
                 {.level = "error",
                  .item = "columns",
                  .message = "column \"note\" does not exist on the source",
                  .hint = "Name the columns to copy."}};
  const std::vector<CheckedTable> tables{table};
  expect_document("check.json", check_document(tables, std::nullopt));
}

TEST(Json, verify) {
  VerifiedTable table;
  table.source_table = "sales.orders";
  table.table = "archive.orders";
  table.verify = {.mode = Verification::kChecksum,
                  .matches = false,
                  .source_rows = 1500,
                  .local_rows = 1499,
                  .range_count = 2,
                  .differing_count = 1};
  table.ranges = {{.number = 1,
                   .start = "",
                   .end = "1000",
                   .source_rows = 999,
                   .local_rows = 999,
                   .matches = true},
                  {.number = 2, .start = "1000", .end = "", .source_rows = 501, .local_rows = 500}};
  const std::vector<VerifiedTable> tables{table};
  expect_document("verify.json", verify_document(tables, std::nullopt));
}

TEST(Json, append) {
  AppendedTable table;
  table.source_table = table.table = "public.signals";
  table.rows = 4711;
  const std::vector<AppendedTable> tables{table};
  expect_document("append.json", append_document(tables, std::nullopt));
}

TEST(Json, sequences) {
  expect_document("sequences.json",
                  sequences_document({{"sales.orders_id_seq", 412'004'118}}, std::nullopt));
}

TEST(Json, cancel_and_alter) {
  const std::vector<ChangedPull> pulls{
      {.id = "12", .source_table = "sales.orders", .table = "sales.orders", .is_changed = true},
      {.id = "13",
       .source_table = "sales.refund",
       .table = "sales.refund",
       .failure = FailureView{.sqlstate = "42501", .message = "permission denied for pull 13"}}};
  expect_document("cancel.json", change_document("cancel", pulls, std::nullopt));
  expect_document("alter.json", change_document("alter", pulls, std::nullopt));
}

TEST(Json, a_command_that_could_not_begin) {
  expect_document("plan_failed.json", plan_document({}, kLost));
}

} // namespace
} // namespace parallel_loader
