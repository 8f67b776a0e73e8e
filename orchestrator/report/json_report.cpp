#include "orchestrator/report/json_report.hpp"

#include "orchestrator/base/version.hpp"
#include "orchestrator/report/json_document.hpp"
#include "orchestrator/report/json_values.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace parallel_loader {

namespace {

template <class Number> Json if_known(bool is_known, Number number) {
  return is_known ? Json(number) : Json();
}

/// The table of a run of one; nullptr of any other.
const PullView *only_pull(const RunView &run) {
  return run.pulls.size() == 1 ? &run.pulls.front() : nullptr;
}

/// Of one table its failure is that of the run.  The hint says how to continue, too.
Json error_json(const RunView &run) {
  const PullView *pull = only_pull(run);
  std::optional<FailureView> failure =
      pull != nullptr && pull->failure ? pull->failure : run.failure;
  if (failure && !failure->command.empty())
    failure->hint += (failure->hint.empty() ? "" : " ") + ("Continue with: " + failure->command);
  return failure_json(failure);
}

/// The keys of version 0.3; over all tables where there are several.
Json first_keys(const RunView &run) {
  const PullView *pull = only_pull(run);
  const RunTotals totals = totals_of(run);
  const bool is_known = std::ranges::all_of(
      run.pulls, [](const PullView &each) { return each.is_known; });
  const auto rate = [&](int64_t amount) {
    return if_known(is_known, std::llround(per_second(amount, run.elapsed)));
  };
  return {{"version", program_version()},
          {"command", run.command},
          {"pull_id", pull != nullptr && pull->pull_id != 0 ? Json(pull->pull_id) : Json()},
          {"table", pull != nullptr ? text_or_null(pull->source_table) : Json()},
          {"target", pull != nullptr ? text_or_null(pull->table) : Json()},
          {"state", state_name(state_of(run))},
          {"rows", if_known(is_known, totals.rows)},
          {"bytes", if_known(is_known, totals.bytes)},
          {"chunks", totals.chunks},
          {"chunks_done", if_known(is_known, totals.chunks_done)},
          {"jobs", run.sessions},
          {"duration_ms", run.elapsed.count()},
          {"rows_per_s", rate(totals.moved_rows)},
          {"bytes_per_s", rate(totals.moved_bytes)},
          {"error", error_json(run)}};
}

Json server_json(const ServerView &server) {
  return {{"address", text_or_null(server.address)}, {"version", text_or_null(server.version)}};
}

Json totals_json(const RunView &run) {
  const RunTotals totals = totals_of(run);
  return {{"tables", totals.tables},  {"done", totals.done},
          {"failed", totals.failed},  {"rows", totals.rows},
          {"bytes", totals.bytes},    {"estimated_bytes", totals.estimated_bytes},
          {"chunks", totals.chunks},  {"chunks_done", totals.chunks_done},
          {"retries", totals.retries}};
}

Json samples_json(const RunView &run) {
  Json samples = Json::array();
  for (const Sample &sample : run.samples)
    samples.push_back(
        {{"elapsed_ms", sample.elapsed.count()}, {"rows", sample.rows}, {"bytes", sample.bytes}});
  return samples;
}

Json waits_json(const RunView &run) {
  Json waits = Json::array();
  for (const WaitView &wait : run.waits)
    waits.push_back({{"table", wait.table},
                     {"reason", wait.reason},
                     {"since_ms", wait.since.count()},
                     {"lasted_ms", wait.lasted.count()}});
  return waits;
}

/// null when nothing was compared.
Json verify_summary(const RunView &run) {
  int compared = 0;
  int differing = 0;
  for (const PullView &pull : run.pulls) {
    compared += pull.verify ? 1 : 0;
    differing += pull.verify && !pull.verify->matches ? 1 : 0;
  }
  if (compared == 0)
    return nullptr;
  return {{"tables", compared}, {"differing", differing}, {"matches", differing == 0}};
}

Json options_json(const RunView &run) {
  Json options = Json::array();
  for (const auto &[name, value] : run.options)
    options.push_back({{"name", name}, {"value", value}});
  return options;
}

} // namespace

std::string copy_document(const RunView &run, JsonDetail detail) {
  JsonDocument document(first_keys(run));
  const PullView *pull = only_pull(run);
  document.add("schema_version", kSchemaVersion);
  document.add("id", pull != nullptr ? text_or_null(pull->id) : Json());
  document.add("run_id", text_or_null(run.id));
  document.add("via", run.via);
  document.add("source", server_json(run.source));
  document.add("destination", server_json(run.destination));
  document.add("snapshot", text_or_null(run.snapshot));
  document.add("has_several_snapshots", run.has_several_snapshots);
  document.add("started", time_json(run.started));
  document.add_list("tables", run.pulls, [&](const PullView &each) {
    Json table = pull_json(each, run);
    if (detail == JsonDetail::kChunks)
      table["chunk_list"] = chunks_json(each);
    return table;
  });
  document.add("totals", totals_json(run));
  document.add("sequences", sequences_json(run.sequences));
  document.add("verify", verify_summary(run));
  document.add("warnings", run.warnings);
  document.add("waits", waits_json(run));
  document.add("samples", samples_json(run));
  document.add("options", options_json(run));
  return std::move(document).text();
}

} // namespace parallel_loader
