// ledger_test: what the ledger's statements are given and what is made of their results.
#include "core/ledger/ledger.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_executor.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

TEST(Ledger, statements_name_the_schema_they_are_given) {
  FakeExecutor executor;
  executor.answers = {affected(1)};
  Ledger(executor, "odd \"schema").change_state(1, PullEvent::kPause, PullActor::kCoordinator);
  EXPECT_NE(executor.calls.at(0).sql.find("UPDATE \"odd \"\"schema\".pull"), std::string::npos);
  EXPECT_EQ(executor.calls.at(0).sql.find('@'), std::string::npos);
}

TEST(Ledger, pull_without_run_starts_one_of_its_own) {
  FakeExecutor executor;
  executor.answers = {one_row({"7"}), one_row({"8"})};
  Ledger ledger(executor);
  PullRequest request;
  EXPECT_EQ(ledger.create_pull(request), 7);
  EXPECT_EQ(executor.calls.at(0).params.at(0), std::nullopt);
  request.run_id = 3;
  EXPECT_EQ(ledger.create_pull(request), 8);
  EXPECT_EQ(executor.calls.at(1).params.at(0), "3");
}

TEST(Ledger, empty_text_is_stored_as_null_but_no_column_as_an_empty_array) {
  FakeExecutor executor;
  executor.answers = {one_row({"1"})};
  PullRequest request;
  request.columns.emplace();
  (void)Ledger(executor).create_pull(request);
  const std::vector<Param> &params = executor.calls.at(0).params;
  EXPECT_EQ(params.at(5), std::nullopt); // key
  EXPECT_EQ(params.at(8), "{}");         // columns
  EXPECT_EQ(params.at(9), std::nullopt); // filter
}

TEST(Ledger, plan_stores_open_bounds_as_null) {
  FakeExecutor executor;
  executor.answers = {affected(1)};
  PullPlan plan;
  plan.source_table = {"public", "T"};
  plan.columns = {"a"};
  plan.chunks = {{.range = {std::nullopt, "NULL"}, .row_estimate = 7, .byte_estimate = 700},
                 {.range = {"NULL", std::nullopt}, .relation = "\"s\".\"p\""},
                 {.range = {{}, {}, true}}};
  Ledger(executor).record_plan(5, plan);
  EXPECT_EQ(executor.calls.at(0).params.at(1), "public.\"T\"");
  const std::vector<Param> &params = executor.calls.at(2).params;
  EXPECT_EQ(params.at(1), R"({NULL,"NULL",NULL})");
  EXPECT_EQ(params.at(2), R"({"NULL",NULL,NULL})");
  EXPECT_EQ(params.at(3), R"({"f","f","t"})");
  EXPECT_EQ(params.at(4), R"({"","\"s\".\"p\"",""})");
  EXPECT_EQ(params.at(5), R"({"7","0","0"})");
  EXPECT_EQ(params.at(6), R"({"700","0","0"})");
}

TEST(Ledger, plan_stores_the_bounds_of_its_snapshot) {
  FakeExecutor executor;
  executor.answers = {affected(1)};
  PullPlan plan;
  plan.bounds = {.xmin = 700, .xmax = 720};
  plan.relations = "16384:16385";
  Ledger(executor).record_plan(5, plan);
  const std::vector<Param> &params = executor.calls.at(0).params;
  EXPECT_EQ(params.at(12), "700");
  EXPECT_EQ(params.at(13), "720");
  EXPECT_EQ(params.at(14), "16384:16385");
}

TEST(Ledger, plan_stores_what_proves_its_snapshot) {
  FakeExecutor executor;
  executor.answers = {affected(1)};
  PullPlan plan;
  plan.snapshot = {.name = "3-1",
                   .lock = INT64_MIN,
                   .state = "700:720:701",
                   .place = {"db.example.com", "10.0.0.1", "5432"}};
  Ledger(executor).record_plan(5, plan);
  const std::vector<Param> &params = executor.calls.at(0).params;
  EXPECT_EQ(params.at(6), "3-1");
  EXPECT_EQ(params.at(15), "-9223372036854775808");
  EXPECT_EQ(params.at(16), "700:720:701");
  EXPECT_EQ(params.at(17), "db.example.com");
  EXPECT_EQ(params.at(18), "10.0.0.1");
  EXPECT_EQ(params.at(19), "5432");
}

TEST(Ledger, pull_says_whether_it_is_an_append) {
  FakeExecutor executor;
  executor.answers = {one_row({"1"}), one_row({"2"})};
  Ledger ledger(executor);
  PullRequest request;
  request.segment = 4711;
  (void)ledger.create_pull(request);
  request.kind = PullKind::kAppend;
  (void)ledger.create_pull(request);
  EXPECT_EQ(executor.calls.at(0).params.at(15), "4711");
  EXPECT_EQ(executor.calls.at(0).params.at(16), "pull");
  EXPECT_EQ(executor.calls.at(1).params.at(16), "append");
}

TEST(Ledger, plan_of_a_pull_that_is_not_there_is_an_error) {
  FakeExecutor executor;
  PullPlan plan;
  plan.chunks = {PlannedChunk{}};
  EXPECT_SQLSTATE("XX000", [&] { Ledger(executor).record_plan(5, plan); }());
}

TEST(Ledger, plan_is_read_back_for_a_worker) {
  FakeExecutor executor;
  executor.answers = {one_row({"public.\"T\"", "id", "\"pg_catalog\".\"int8\"", "binary", "3-1",
                               "150020", "-7", "700:700:", "a", "10.0.0.1", "5433", "{public}"}),
                      Rows(1, {"a", "B c"})};
  const PullPlan plan = Ledger(executor).load_plan(5);
  EXPECT_EQ(plan.source_table, (QualifiedName{"public", "T"}));
  EXPECT_EQ(plan.key, "id");
  EXPECT_EQ(plan.bound_type, "\"pg_catalog\".\"int8\"");
  EXPECT_EQ(plan.format, Format::kBinary);
  EXPECT_EQ(plan.columns, (std::vector<std::string>{"a", "B c"}));
  EXPECT_EQ(plan.snapshot.name, "3-1");
  EXPECT_EQ(plan.snapshot.lock, -7);
  EXPECT_EQ(plan.snapshot.state, "700:700:");
  EXPECT_EQ(plan.snapshot.place, (SourcePlace{"a", "10.0.0.1", "5433"}));
}

TEST(Ledger, pull_that_is_not_there_cannot_be_read) {
  FakeExecutor executor;
  EXPECT_SQLSTATE("42704", Ledger(executor).load_plan(5));
}

TEST(Ledger, pull_is_read_back_for_a_resume) {
  FakeExecutor executor;
  executor.answers = {
      one_row({"public.\"T\"", "id", "\"pg_catalog\".\"int8\"", "text", "3-1", "150020", "9", "",
               "", "", "", "{public}"}),
      Rows(1, {"id"}), Rows(),
      one_row({"9",      "10",   "16384",       "old_server", "id",    "1",   std::nullopt,
               "id > 0", "auto", "4",           "1048576",    "UTC",   "DMY", "append",
               "failed", "512",  "7001",        "2",          "d",     "0/5", "700",
               "720",    "t",    "16384:16390", "public",     "origin"})};
  const RecordedPull pull = Ledger(executor).load_pull(5);
  EXPECT_EQ(pull.request.run_id, 9);
  EXPECT_EQ(pull.request.owner, 10U);
  EXPECT_EQ(pull.request.table, 16384U);
  EXPECT_EQ(pull.request.source, "old_server");
  EXPECT_EQ(pull.request.source_table, "\"public\".\"T\"");
  EXPECT_EQ(pull.request.key, "id");
  EXPECT_EQ(pull.request.start, "1");
  EXPECT_EQ(pull.request.end, std::nullopt);
  EXPECT_EQ(pull.request.columns, std::vector<std::string>{"id"});
  EXPECT_EQ(pull.request.filter, "id > 0");
  EXPECT_EQ(pull.request.format, "auto");
  EXPECT_EQ(pull.request.workers, 4);
  EXPECT_EQ(pull.request.chunk_bytes, 1048576);
  EXPECT_EQ(pull.request.timezone, "UTC");
  EXPECT_EQ(pull.request.date_order, "DMY");
  EXPECT_EQ(pull.request.kind, PullKind::kAppend);
  EXPECT_EQ(state_name(pull.state), "failed");
  EXPECT_EQ(pull.max_rate_kb, 512);
  EXPECT_EQ(pull.plan.identity.system_identifier, "7001");
  EXPECT_EQ(pull.plan.identity.timeline, "2");
  EXPECT_EQ(pull.plan.identity.database, "d");
  EXPECT_EQ(pull.plan.identity.lsn, "0/5");
  EXPECT_EQ(pull.plan.bounds.xmin, 700);
  EXPECT_EQ(pull.plan.bounds.xmax, 720);
  EXPECT_EQ(pull.plan.snapshot.name, "3-1");
  EXPECT_TRUE(pull.shares_snapshot);
  EXPECT_EQ(pull.plan.relations, "16384:16390");
  EXPECT_EQ(pull.request.search_path, "public");
  EXPECT_EQ(pull.request.replication_role, "origin");
}

TEST(Ledger, resume_widens_the_bounds_and_frees_failed_chunks) {
  FakeExecutor executor;
  PullPlan plan;
  plan.snapshot = {.name = "4-1", .lock = 77, .state = "800:810:", .place = {"/tmp", "", "5432"}};
  plan.bounds = {.xmin = 800, .xmax = 810};
  plan.identity = {.system_identifier = "7001", .timeline = "2", .database = "d", .lsn = "0/9"};
  plan.source_version = 150020;
  executor.answers = {affected(1)};
  Ledger(executor).resume_pull(5, 4712, plan);
  EXPECT_EQ(executor.calls.at(0).params,
            (std::vector<Param>{"5", "running",
                                R"({"failed","cancelled","planned","running","paused"})"}));
  const FakeExecutor::Call &call = executor.calls.at(1);
  EXPECT_EQ(call.params, (std::vector<Param>{"5", "4712", "4-1", "800", "810", "0/9", "2", "150020",
                                             "77", "800:810:", "/tmp", std::nullopt, "5432"}));
  EXPECT_NE(call.sql.find("least(snapshot_xmin"), std::string::npos);
  EXPECT_NE(call.sql.find("greatest(snapshot_xmax"), std::string::npos);
  EXPECT_NE(call.sql.find("SET state = 'planned'"), std::string::npos);
}

TEST(Ledger, pull_planned_anew_gets_other_chunks) {
  FakeExecutor executor;
  executor.answers = {affected(1), affected(4), affected(1)};
  PullPlan plan;
  plan.chunks = {{.range = {}, .relation_oid = 16390}};
  plan.chunk_change = ChunkChange::kReplaced;
  Ledger(executor).resume_pull(5, 4712, plan);
  EXPECT_NE(executor.calls.at(1).sql.find("DELETE FROM"), std::string::npos);
  EXPECT_EQ(executor.calls.at(4).params.at(7), "{\"16390\"}");
}

TEST(Ledger, new_chunks_come_behind_those_that_are_there) {
  FakeExecutor executor;
  executor.answers = {affected(1)};
  PullPlan plan;
  plan.chunks = {{.range = {}, .relation = "\"s\".\"p\"", .relation_oid = 16390}};
  plan.chunk_change = ChunkChange::kAdded;
  plan.relations = "16390:16390";
  Ledger(executor).resume_pull(5, 4712, plan);
  EXPECT_NE(executor.calls.at(1).sql.find("m.last + c.number"), std::string::npos);
  EXPECT_EQ(executor.calls.at(2).params, (std::vector<Param>{"5", "16390:16390"}));
}

TEST(Ledger, what_the_caller_named_is_kept_beside_what_the_plan_chose) {
  FakeExecutor executor;
  executor.answers = {affected(1)};
  PullPlan plan;
  plan.source_shape = "c\ta\t1\t23\ttype integer";
  plan.wish = {
      .key = "", .columns = std::vector<std::string>(), .format = "auto", .bound_type = ""};
  Ledger(executor).record_plan(5, plan);
  EXPECT_EQ(executor.calls.at(1).params,
            (std::vector<Param>{"5", plan.source_shape, {}, {}, "{}", "auto", {}}));
}

TEST(Ledger, a_state_is_changed_only_where_the_table_has_it) {
  FakeExecutor executor;
  executor.answers = {affected(1), affected(0), one_row({"done"}), affected(0)};
  Ledger ledger(executor);
  ledger.change_state(5, PullEvent::kPause, PullActor::kCoordinator);
  EXPECT_EQ(executor.calls.at(0).params,
            (std::vector<Param>{"5", "paused", R"({"planned","running"})"}));
  EXPECT_NE(executor.calls.at(0).sql.find("state = ANY ($3"), std::string::npos);
  EXPECT_SQLSTATE("55000", ledger.change_state(5, PullEvent::kGoOn, PullActor::kCoordinator));
  EXPECT_SQLSTATE("55000", ledger.change_state(5, PullEvent::kGoOn, PullActor::kCoordinator));
  EXPECT_SQLSTATE("XX000", ledger.change_state(5, PullEvent::kPause, PullActor::kCaller));
}

TEST(Ledger, limits_that_are_not_given_stay) {
  FakeExecutor executor;
  Ledger ledger(executor);
  ledger.set_limits(5, 8, std::nullopt);
  ledger.set_limits(5, std::nullopt, 0);
  EXPECT_EQ(executor.calls.at(0).params, (std::vector<Param>{"5", "8", std::nullopt}));
  EXPECT_EQ(executor.calls.at(1).params, (std::vector<Param>{"5", std::nullopt, "0"}));
}

TEST(Ledger, attempt_is_noted_unless_another_worker_has_the_chunk) {
  FakeExecutor executor;
  executor.answers = {affected(1), affected(0)};
  Ledger ledger(executor);
  EXPECT_TRUE(ledger.note_attempt(5, 3, {"08006", "lost", false}));
  EXPECT_FALSE(ledger.note_attempt(5, 3, {"", "", true}));
  EXPECT_EQ(executor.calls.at(0).params, (std::vector<Param>{"5", "3", "08006", "lost", "f"}));
  EXPECT_EQ(executor.calls.at(1).params, (std::vector<Param>{"5", "3", {}, {}, "t"}));
  EXPECT_NE(executor.calls.at(0).sql.find("FOR UPDATE SKIP LOCKED"), std::string::npos);
}

TEST(Ledger, claim_returns_the_chunk_or_nothing) {
  FakeExecutor executor;
  executor.answers = {
      one_row({"4", "1", std::nullopt, "f", "\"s\".\"p\"", "4096", "16390", "f", "1"})};
  Ledger ledger(executor);
  const std::optional<ClaimedChunk> chunk = ledger.claim_chunk(1);
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->number, 4);
  EXPECT_EQ(chunk->range, (Range{"1", std::nullopt}));
  EXPECT_EQ(chunk->relation, "\"s\".\"p\"");
  EXPECT_EQ(chunk->relation_oid, 16390U);
  EXPECT_EQ(chunk->byte_estimate, 4096);
  EXPECT_FALSE(ledger.claim_chunk(1));
}

TEST(Ledger, chunk_says_when_it_was_claimed_and_by_whom) {
  FakeExecutor executor;
  executor.answers = {affected(1), affected(1)};
  Ledger ledger(executor);
  ChunkResult result{};
  ledger.complete_chunk(7, 4, result);
  result.started = 1795806000.25;
  result.copied_by = 4242;
  ledger.complete_chunk(7, 3, result);
  EXPECT_EQ(executor.calls.at(0).params.at(7), std::nullopt);
  EXPECT_EQ(executor.calls.at(0).params.at(8), std::nullopt);
  EXPECT_EQ(executor.calls.at(1).params.at(7), "1795806000.250000");
  EXPECT_EQ(executor.calls.at(1).params.at(8), "4242");
}

TEST(Ledger, chunks_of_a_plan_have_the_bytes_of_their_table_as_priority) {
  FakeExecutor executor;
  executor.answers = {affected(1)};
  PullPlan plan;
  plan.began_empty = true;
  plan.chunks.resize(2);
  plan.chunks[0].byte_estimate = 100;
  plan.chunks[1].byte_estimate = 23;
  Ledger(executor).record_plan(5, plan);
  EXPECT_EQ(executor.calls.at(0).params.at(21), "t");
  EXPECT_EQ(executor.calls.at(2).params.at(8), "123");
}

TEST(Ledger, claim_takes_a_row_lock_and_never_waits_for_one) {
  FakeExecutor executor;
  (void)Ledger(executor).claim_chunk(1);
  EXPECT_NE(executor.calls.at(0).sql.find("FOR UPDATE SKIP LOCKED"), std::string::npos);
}

TEST(Ledger, chunk_is_done_exactly_once) {
  FakeExecutor executor;
  executor.answers = {affected(1), affected(0)};
  Ledger ledger(executor);
  EXPECT_NO_THROW(ledger.complete_chunk(1, 1, {10, 100, "copy", "the table is partitioned"}));
  EXPECT_SQLSTATE("XX000", [&] {
    ledger.complete_chunk(1, 1, {10, 100, "copy", "the table is partitioned"});
  }());
}

TEST(Ledger, chunk_keeps_the_tables_that_it_went_into) {
  FakeExecutor executor;
  executor.answers = {affected(1), affected(1), affected(1)};
  Ledger ledger(executor);
  ledger.complete_chunk(7, 3, {10, 100, "copy", "", "@7 1:10"});
  EXPECT_EQ(executor.calls.at(0).params.at(6), "@7 1:10");
  EXPECT_EQ(executor.calls.size(), 1U);
  ledger.complete_chunk(7, 4, {10, 100, "copy", "", "@7 1:10:u"});
  ASSERT_EQ(executor.calls.size(), 3U);
  EXPECT_NE(executor.calls.at(2).sql.find("unlogged_chunk"), std::string::npos);
  EXPECT_EQ(executor.calls.at(2).params, (std::vector<Param>{"7", "4"}));
}

TEST(Ledger, bounds_that_were_given_up_stay_so) {
  FakeExecutor executor;
  executor.answers = {affected(1)};
  Ledger(executor).resume_pull(5, 4712, PullPlan());
  const std::string &sql = executor.calls.at(1).sql;
  EXPECT_NE(sql.find("CASE WHEN snapshot_xmin IS NOT NULL THEN least(snapshot_xmin"),
            std::string::npos);
}

TEST(Ledger, an_end_is_written_with_its_error) {
  FakeExecutor executor;
  executor.answers = {affected(1), {}, affected(1), {}, affected(0)};
  Ledger ledger(executor);
  ledger.end_pull(1, PullEvent::kAllDone, PullActor::kCoordinator, {});
  const PullError error{.sqlstate = "22012",
                        .message = "division by zero",
                        .detail = "By a zero.",
                        .hint = "Do not."};
  ledger.end_pull(1, PullEvent::kFailure, PullActor::kCoordinator, error);
  EXPECT_SQLSTATE("55000", ledger.end_pull(1, PullEvent::kCancel, PullActor::kCaller, error));
  EXPECT_EQ(executor.calls.at(0).params.at(1), "done");
  EXPECT_EQ(executor.calls.at(1).params, (std::vector<Param>{"1", {}, {}, {}, {}}));
  EXPECT_EQ(executor.calls.at(2).params.at(1), "failed");
  EXPECT_EQ(executor.calls.at(3).params,
            (std::vector<Param>{"1", "22012", "division by zero", "By a zero.", "Do not."}));
  EXPECT_EQ(executor.calls.at(4).params.at(1), "cancelled");
}

TEST(Ledger, totals_are_read_in_their_order) {
  FakeExecutor executor;
  executor.answers = {one_row({"30", "300", "4", "2", "1", "4000", "2000"})};
  const Ledger::Totals totals = Ledger(executor).totals(1);
  EXPECT_EQ(totals.row_count, 30);
  EXPECT_EQ(totals.byte_count, 300);
  EXPECT_EQ(totals.chunk_count, 4);
  EXPECT_EQ(totals.done_count, 2);
  EXPECT_EQ(totals.retry_count, 1);
  EXPECT_EQ(totals.estimate_all, 4000);
  EXPECT_EQ(totals.estimate_done, 2000);
}

} // namespace
} // namespace parallel_loader
