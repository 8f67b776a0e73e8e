#include "orchestrator/report/progress_json.hpp"

#include "orchestrator/report/json_values.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <cmath>

namespace parallel_loader {

namespace {

Json table_json(const PullView &pull, const RunView &run) {
  return {{"id", text_or_null(pull.id)},
          {"table", pull.source_table},
          {"state", state_name(pull.state)},
          {"rows", pull.rows},
          {"bytes", pull.bytes},
          {"estimated_bytes", pull.estimated_bytes > 0 ? Json(pull.estimated_bytes) : Json()},
          {"percent", percent_of(fraction_of(pull))},
          {"bytes_per_s", std::llround(pull.bytes_per_s)},
          {"eta_ms", duration_json(time_left(pull, run))},
          {"workers", pull.workers},
          {"retries", pull.retries},
          {"waiting_for", text_or_null(pull.waiting_for)},
          {"max_rate_kb", pull.max_rate_kb > 0 ? Json(pull.max_rate_kb) : Json()}};
}

} // namespace

std::string progress_document(const RunView &run, WallTime now) {
  const RunTotals totals = totals_of(run);
  int workers = 0;
  Json running = Json::array();
  for (const PullView &pull : run.pulls) {
    if (is_over(pull) || pull.state == PullState::kPlanned)
      continue;
    workers += pull.workers;
    running.push_back(table_json(pull, run));
  }
  return json_line(
      {{"schema_version", kSchemaVersion},
       {"event", "progress"},
       {"time", time_json(now)},
       {"run_id", text_or_null(run.id)},
       {"state", state_name(state_of(run))},
       {"elapsed_ms", run.elapsed.count()},
       {"tables", totals.tables},
       {"tables_done", totals.done},
       {"tables_failed", totals.failed},
       {"rows", totals.rows},
       {"bytes", totals.bytes},
       {"estimated_bytes", totals.estimated_bytes > 0 ? Json(totals.estimated_bytes) : Json()},
       {"percent", percent_of(fraction_of(run))},
       {"bytes_per_s", std::llround(current_rate(run))},
       {"eta_ms", duration_json(time_left(run))},
       {"chunks", totals.chunks},
       {"chunks_done", totals.chunks_done},
       {"workers", workers},
       {"retries", totals.retries},
       {"running", std::move(running)}});
}

} // namespace parallel_loader
