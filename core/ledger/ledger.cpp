// ledger: its statements, executed.
//
// The extension runs these statements as the ledger's owner inside the caller's session, so every
// name is qualified: no temporary object may stand in for one.
#include "core/ledger/ledger.hpp"

#include "core/base/error.hpp"
#include "core/base/quote.hpp"
#include "core/ledger/ledger_statements.hpp"
#include "core/ledger/local_relations.hpp"

#include <algorithm>

namespace parallel_loader {

using namespace ledger_statements;

namespace {

Param number(int64_t value) {
  return std::to_string(value);
}

Param flag(std::optional<bool> value) {
  return value ? Param(*value ? "t" : "f") : Param();
}

std::string_view kind_name(PullKind kind) {
  return kind == PullKind::kAppend ? "append" : "pull";
}

/// The chunks of a plan as array literals, one a column.
struct ChunkArrays {
  explicit ChunkArrays(const std::vector<PlannedChunk> &chunks) {
    std::vector<Param> start_values, end_values;
    std::vector<std::string> nulls_values, relation_values, row_values, byte_values, oid_values;
    for (const PlannedChunk &chunk : chunks) {
      start_values.push_back(chunk.range.start);
      end_values.push_back(chunk.range.end);
      nulls_values.push_back(chunk.range.nulls ? "t" : "f");
      relation_values.push_back(chunk.relation);
      row_values.push_back(std::to_string(chunk.row_estimate));
      byte_values.push_back(std::to_string(chunk.byte_estimate));
      all_bytes += std::max<int64_t>(chunk.byte_estimate, 0);
      oid_values.push_back(std::to_string(chunk.relation_oid));
    }
    starts = array_literal(start_values);
    ends = array_literal(end_values);
    nulls = array_literal(nulls_values);
    relations = array_literal(relation_values);
    rows = array_literal(row_values);
    bytes = array_literal(byte_values);
    oids = array_literal(oid_values);
  }

  std::string starts;
  std::string ends;
  std::string nulls;
  std::string relations;
  std::string rows;
  std::string bytes;
  std::string oids;
  int64_t all_bytes = 0;
};

} // namespace

int64_t Ledger::create_pull(const PullRequest &request) {
  if (request.continued_run != 0)
    exec(kContinueRun, {number(request.continued_run), number(request.owner)});
  return exec(kCreatePull, {request.run_id == 0 ? Param() : number(request.run_id),
                            number(request.owner),
                            number(request.table),
                            request.source,
                            request.source_table,
                            null_if_empty(request.key),
                            request.start,
                            request.end,
                            request.columns ? Param(array_literal(*request.columns)) : Param(),
                            null_if_empty(request.filter),
                            request.format,
                            number(request.workers),
                            number(request.chunk_bytes),
                            request.timezone,
                            request.date_order,
                            number(request.segment),
                            std::string(kind_name(request.kind)),
                            request.search_path,
                            request.replication_role,
                            request.coordinator == 0 ? Param() : number(request.coordinator),
                            request.begins_run ? "t" : "f",
                            number(request.tables_to_come),
                            executor_.schema() + ".pull"})
      .integer(0, 0);
}

void Ledger::record_plan(int64_t pull_id, const PullPlan &plan) {
  const SourceIdentity &identity = plan.identity;
  const Rows updated = exec(kRecordPlan, {number(pull_id),
                                          plan.source_table.display(),
                                          null_if_empty(plan.key),
                                          null_if_empty(plan.bound_type),
                                          std::string(format_name(plan.format)),
                                          array_literal(plan.columns),
                                          null_if_empty(plan.snapshot.name),
                                          null_if_empty(identity.lsn),
                                          null_if_empty(identity.system_identifier),
                                          null_if_empty(identity.timeline),
                                          null_if_empty(identity.database),
                                          number(plan.source_version),
                                          number(plan.bounds.xmin),
                                          number(plan.bounds.xmax),
                                          null_if_empty(plan.relations),
                                          number(plan.snapshot.lock),
                                          null_if_empty(plan.snapshot.state),
                                          null_if_empty(plan.snapshot.place.host),
                                          null_if_empty(plan.snapshot.place.hostaddr),
                                          null_if_empty(plan.snapshot.place.port),
                                          plan.source_path,
                                          flag(plan.began_empty)});
  if (updated.affected() != 1)
    throw Error(sqlstate::kInternalError,
                "pull " + std::to_string(pull_id) + " is not in the ledger");
  record_shapes(pull_id, plan);
  add_chunks(pull_id, plan.chunks);
}

void Ledger::add_chunks(int64_t pull_id, const std::vector<PlannedChunk> &added) {
  const ChunkArrays chunks(added);
  exec(kAddChunks, {number(pull_id), chunks.starts, chunks.ends, chunks.nulls, chunks.relations,
                    chunks.rows, chunks.bytes, chunks.oids, number(chunks.all_bytes)});
}

void Ledger::record_shapes(int64_t pull_id, const PullPlan &plan) {
  const PullWish &wish = plan.wish;
  exec(kRecordShapes,
       {number(pull_id), null_if_empty(plan.source_shape), null_if_empty(plan.local_shape),
        null_if_empty(wish.key), wish.columns ? Param(array_literal(*wish.columns)) : Param(),
        null_if_empty(wish.format), null_if_empty(wish.bound_type)});
}

void Ledger::load_shapes(int64_t pull_id, PullPlan &plan) {
  const Rows row = exec(kLoadShapes, {number(pull_id)});
  if (row.empty())
    return;
  plan.source_shape = row.text(0, 0);
  plan.local_shape = row.text(0, 1);
  plan.wish = {
      .key = row.text(0, 2), .columns = {}, .format = row.text(0, 3), .bound_type = row.text(0, 4)};
  if (!row.boolean(0, 5))
    plan.wish.columns = load_columns(pull_id, "asked_columns");
}

std::vector<std::string> Ledger::load_columns(int64_t pull_id, std::string_view list) {
  const Rows rows = exec(replace_marks(kLoadColumns, "@list@", list), {number(pull_id)});
  std::vector<std::string> columns;
  for (size_t row = 0; row < rows.size(); row++)
    columns.push_back(rows.text(row, 0));
  return columns;
}

std::vector<ChunkRelation> Ledger::relations(int64_t pull_id) {
  const Rows rows = exec(kLoadRelations, {number(pull_id)});
  std::vector<ChunkRelation> relations;
  for (size_t row = 0; row < rows.size(); row++)
    relations.push_back({.relation = rows.text(row, 0),
                         .oid = static_cast<uint32_t>(rows.integer(row, 1)),
                         .is_done = rows.boolean(row, 2)});
  return relations;
}

void Ledger::change_chunks(int64_t pull_id, const PullPlan &plan) {
  switch (plan.chunk_change) {
  case ChunkChange::kNone:
    return;
  case ChunkChange::kReplaced:
    exec(kDropChunks, {number(pull_id)});
    return record_plan(pull_id, plan);
  case ChunkChange::kAdded:
    break;
  }
  add_chunks(pull_id, plan.chunks);
  exec(kRecordRelations, {number(pull_id), null_if_empty(plan.relations)});
}

PullPlan Ledger::load_plan(int64_t pull_id) {
  const Rows pull = exec(kLoadPlan, {number(pull_id)});
  if (pull.empty()) {
    throw Error(sqlstate::kUndefinedObject,
                "pull " + std::to_string(pull_id) + " is not in the ledger");
  }
  PullPlan plan;
  plan.source_table = parse_qualified_name(pull.text(0, 0));
  plan.key = pull.text(0, 1);
  plan.bound_type = pull.text(0, 2);
  plan.format = pull.text(0, 3) == format_name(Format::kBinary) ? Format::kBinary : Format::kText;
  plan.snapshot = {.name = pull.text(0, 4),
                   .lock = pull.integer(0, 6),
                   .state = pull.text(0, 7),
                   .place = {pull.text(0, 8), pull.text(0, 9), pull.text(0, 10)}};
  plan.source_path = pull.at(0, 11);
  plan.source_version = static_cast<int>(pull.integer(0, 5));
  plan.columns = load_columns(pull_id, "columns");
  load_shapes(pull_id, plan);
  return plan;
}

RecordedPull Ledger::load_pull(int64_t pull_id) {
  RecordedPull recorded;
  recorded.plan = load_plan(pull_id);
  const Rows row = exec(kLoadPull, {number(pull_id)});
  PullRequest &request = recorded.request;
  request.run_id = row.integer(0, 0);
  request.owner = static_cast<uint32_t>(row.integer(0, 1));
  request.table = static_cast<uint32_t>(row.integer(0, 2));
  request.source = row.text(0, 3);
  request.source_table = recorded.plan.source_table.quoted();
  request.key = row.text(0, 4);
  request.start = row.at(0, 5);
  request.end = row.at(0, 6);
  request.columns = recorded.plan.columns;
  request.filter = row.text(0, 7);
  request.format = row.text(0, 8);
  request.workers = static_cast<int>(row.integer(0, 9));
  request.chunk_bytes = row.integer(0, 10);
  request.timezone = row.text(0, 11);
  request.date_order = row.text(0, 12);
  request.kind =
      row.text(0, 13) == kind_name(PullKind::kAppend) ? PullKind::kAppend : PullKind::kPull;
  recorded.state = parse_pull_state(row.text(0, 14));
  recorded.max_rate_kb = row.integer(0, 15);
  recorded.plan.identity = {.system_identifier = row.text(0, 16),
                            .timeline = row.text(0, 17),
                            .database = row.text(0, 18),
                            .lsn = row.text(0, 19)};
  recorded.plan.bounds = {.xmin = row.integer(0, 20), .xmax = row.integer(0, 21)};
  recorded.shares_snapshot = row.boolean(0, 22);
  recorded.plan.relations = row.text(0, 23);
  request.search_path = row.text(0, 24);
  request.replication_role = row.text(0, 25);
  return recorded;
}

void Ledger::resume_pull(int64_t pull_id, int64_t segment, const PullPlan &plan) {
  change_state(pull_id, PullEvent::kResume, PullActor::kResume);
  change_chunks(pull_id, plan);
  if (!plan.found_relations.empty())
    name_relations(pull_id, plan.found_relations);
  if (!plan.found_relations.empty() || plan.has_new_shape)
    record_shapes(pull_id, plan);
  exec(kResumePull,
       {number(pull_id), number(segment), null_if_empty(plan.snapshot.name),
        number(plan.bounds.xmin), number(plan.bounds.xmax), null_if_empty(plan.identity.lsn),
        null_if_empty(plan.identity.timeline), number(plan.source_version),
        number(plan.snapshot.lock), null_if_empty(plan.snapshot.state),
        null_if_empty(plan.snapshot.place.host), null_if_empty(plan.snapshot.place.hostaddr),
        null_if_empty(plan.snapshot.place.port)});
}

void Ledger::name_relations(int64_t pull_id, const std::vector<ChunkRelation> &relations) {
  std::vector<std::string> names, oids;
  for (const ChunkRelation &relation : relations) {
    names.push_back(relation.relation);
    oids.push_back(std::to_string(relation.oid));
  }
  exec(kNameRelations, {number(pull_id), array_literal(names), array_literal(oids)});
}

void Ledger::reopen_pull(int64_t pull_id, int64_t segment) {
  change_state(pull_id, PullEvent::kResume, PullActor::kResume);
  exec(kReopenPull, {number(pull_id), number(segment)});
}

void Ledger::note_flushed(int64_t pull_id) {
  exec(kNoteFlushed, {number(pull_id)});
}

void Ledger::forget_bounds(int64_t pull_id) {
  exec(kForgetBounds, {number(pull_id)});
}

void Ledger::note_hold_ended(int64_t pull_id, std::string_view reason) {
  exec(kNoteHoldEnded, {number(pull_id), std::string(reason)});
}

bool Ledger::has_lost_bounds(int64_t pull_id) {
  const Rows row = exec(kHasLostBounds, {number(pull_id)});
  return !row.empty() && row.boolean(0, 0);
}

void Ledger::change_state(int64_t pull_id, PullEvent event, PullActor actor) {
  const std::string_view new_state = state_name(state_after(event, actor));
  const std::vector<std::string> sources = source_states(event, actor);
  const Rows changed =
      exec(kSetState, {number(pull_id), std::string(new_state), array_literal(sources)});
  if (changed.affected() == 1)
    return;
  const Rows found = exec(kReadState, {number(pull_id)});
  throw Error("55000", "pull " + std::to_string(pull_id) + " cannot become " +
                           std::string(new_state) + ": it is " +
                           (found.empty() ? "not in the ledger" : found.text(0, 0)));
}

void Ledger::set_limits(int64_t pull_id, std::optional<int> workers,
                        std::optional<int> max_rate_kb) {
  exec(kSetLimits, {number(pull_id), workers ? number(*workers) : Param(),
                    max_rate_kb ? number(*max_rate_kb) : Param()});
}

std::optional<ClaimedChunk> Ledger::claim_chunk(int64_t pull_id) {
  return claim(kOfPull, {number(pull_id)});
}

std::optional<ClaimedChunk> Ledger::claim_run_chunk(int64_t coordinator, int64_t pull_id) {
  if (pull_id == 0)
    return claim(kOfRun, {number(coordinator)});
  return claim(kOfPullInRun, {number(pull_id), number(coordinator)});
}

std::optional<ClaimedChunk> Ledger::claim(std::string_view condition,
                                          std::initializer_list<Param> params) {
  const Rows rows = exec(std::string(kClaim) + std::string(condition), params);
  if (rows.empty())
    return std::nullopt;
  return ClaimedChunk{.pull_id = rows.integer(0, 8),
                      .number = static_cast<int>(rows.integer(0, 0)),
                      .byte_estimate = rows.integer(0, 5),
                      .range = {.start = rows.at(0, 1),
                                .end = rows.at(0, 2),
                                .nulls = rows.boolean(0, 3),
                                .not_null = rows.boolean(0, 7)},
                      .relation = rows.text(0, 4),
                      .relation_oid = static_cast<uint32_t>(rows.integer(0, 6))};
}

void Ledger::complete_chunk(int64_t pull_id, int chunk, const ChunkResult &result) {
  const Rows updated =
      exec(kCompleteChunk,
           {number(pull_id), number(chunk), number(result.row_count), number(result.byte_count),
            std::string(result.route), null_if_empty(result.route_reason), result.local_relations,
            result.started == 0 ? Param() : Param(std::to_string(result.started)),
            result.copied_by == 0 ? Param() : number(result.copied_by)});
  if (updated.affected() != 1)
    throw Error(sqlstate::kInternalError, "chunk " + std::to_string(chunk) + " of pull " +
                                              std::to_string(pull_id) +
                                              " is not in the ledger, or is done already");
  if (has_unlogged(result.local_relations))
    exec(kNoteUnlogged, {number(pull_id), number(chunk)});
}

bool Ledger::note_attempt(int64_t pull_id, int chunk, const FailedAttempt &attempt) {
  return exec(kNoteAttempt, {number(pull_id), number(chunk), null_if_empty(attempt.sqlstate),
                             null_if_empty(attempt.message), attempt.is_final ? "t" : "f"})
             .affected() == 1;
}

void Ledger::end_pull(int64_t pull_id, PullEvent event, PullActor actor, const PullError &error) {
  change_state(pull_id, event, actor);
  exec(kEndPull, {number(pull_id), null_if_empty(error.sqlstate), null_if_empty(error.message),
                  null_if_empty(error.detail), null_if_empty(error.hint)});
}

Ledger::Ending Ledger::ending(int64_t pull_id) {
  const Rows row = exec(kReadEnding, {number(pull_id)});
  if (row.empty())
    return {};
  return {.finished = row.is_null(0, 0) ? std::nullopt : std::optional(row.integer(0, 0)),
          .error = {.sqlstate = row.text(0, 1),
                    .message = row.text(0, 2),
                    .detail = row.text(0, 3),
                    .hint = row.text(0, 4)}};
}

PullError Ledger::error_of(int64_t pull_id) {
  const Rows row = exec(kReadError, {number(pull_id)});
  if (row.empty())
    return {.sqlstate = std::string(sqlstate::kInternalError), .message = "the pull has ended"};
  return {.sqlstate = row.text(0, 0),
          .message = row.text(0, 1),
          .detail = row.text(0, 2),
          .hint = row.text(0, 3)};
}

bool Ledger::has_withheld_chunks(int64_t pull_id) {
  return exec(kHasWithheld, {number(pull_id)}).boolean(0, 0);
}

static Ledger::Totals read_totals(const Rows &rows, size_t row) {
  return {.row_count = rows.integer(row, 0),
          .byte_count = rows.integer(row, 1),
          .chunk_count = static_cast<int>(rows.integer(row, 2)),
          .done_count = static_cast<int>(rows.integer(row, 3)),
          .retry_count = static_cast<int>(rows.integer(row, 4)),
          .estimate_all = rows.integer(row, 5),
          .estimate_done = rows.integer(row, 6)};
}

Ledger::Totals Ledger::totals(int64_t pull_id) {
  return read_totals(exec(kTotals, {number(pull_id)}), 0);
}

std::map<int64_t, Ledger::Totals> Ledger::totals_of_runs(const std::vector<int64_t> &pulls) {
  std::map<int64_t, Totals> totals;
  if (pulls.empty())
    return totals;
  std::vector<std::string> ids;
  ids.reserve(pulls.size());
  for (const int64_t pull : pulls)
    ids.push_back(std::to_string(pull));
  const Rows rows = exec(kTotalsOfMany, {array_literal(ids)});
  for (size_t row = 0; row < rows.size(); row++)
    totals.emplace(rows.integer(row, 7), read_totals(rows, row));
  return totals;
}

} // namespace parallel_loader
