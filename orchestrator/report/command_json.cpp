#include "orchestrator/report/command_json.hpp"

#include "orchestrator/base/version.hpp"
#include "orchestrator/report/json_document.hpp"
#include "orchestrator/report/json_values.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace parallel_loader {

namespace {

JsonDocument head(std::string_view command, const CommandFailure &failure) {
  return JsonDocument({{"version", program_version()},
                       {"command", command},
                       {"schema_version", kSchemaVersion},
                       {"error", failure_json(failure)}});
}

template <class Items, class ToJson> Json list(const Items &items, ToJson to_json) {
  Json result = Json::array();
  for (const auto &item : items)
    result.push_back(to_json(item));
  return result;
}

Json table_json(const TableOf &table) {
  return {{"table", text_or_null(table.source_table)},
          {"target", text_or_null(table.table)},
          {"error", failure_json(table.failure)}};
}

Json planned_chunk_json(const PlannedChunk &chunk) {
  return {{"chunk", chunk.number},
          {"start", text_or_null(chunk.start)},
          {"end", text_or_null(chunk.end)},
          {"nulls", chunk.nulls},
          {"estimated_rows", chunk.estimated_rows},
          {"estimated_bytes", chunk.estimated_bytes},
          {"relation", text_or_null(chunk.relation)},
          {"route", text_or_null(chunk.route)},
          {"route_reason", text_or_null(chunk.route_reason)}};
}

Json range_json(const VerifiedRange &range) {
  return {{"range", range.number},
          {"start", text_or_null(range.start)},
          {"end", text_or_null(range.end)},
          {"nulls", range.nulls},
          {"source_rows", range.source_rows},
          {"destination_rows", range.local_rows},
          {"matches", range.matches}};
}

} // namespace

std::string plan_document(std::span<const PlannedTable> tables, const CommandFailure &failure) {
  JsonDocument document = head("plan", failure);
  int64_t rows = 0;
  int64_t bytes = 0;
  int64_t chunks = 0;
  document.add_list("tables", tables, [&](const PlannedTable &table) {
    int64_t table_rows = 0;
    int64_t table_bytes = 0;
    for (const PlannedChunk &chunk : table.chunks) {
      table_rows += chunk.estimated_rows;
      table_bytes += chunk.estimated_bytes;
    }
    rows += table_rows;
    bytes += table_bytes;
    chunks += static_cast<int64_t>(table.chunks.size());
    Json json = table_json(table);
    json["key"] = text_or_null(table.key);
    json["estimated_rows"] = table_rows;
    json["estimated_bytes"] = table_bytes;
    json["warnings"] = table.warnings;
    json["chunk_list"] = list(table.chunks, planned_chunk_json);
    return json;
  });
  document.add("totals", {{"tables", tables.size()},
                          {"chunks", chunks},
                          {"estimated_rows", rows},
                          {"estimated_bytes", bytes}});
  return std::move(document).text();
}

std::string check_document(std::span<const CheckedTable> tables, const CommandFailure &failure) {
  JsonDocument document = head("check", failure);
  const auto is_ready = [](const CheckedTable &table) {
    return !table.failure && std::ranges::none_of(table.items, [](const CheckItem &item) {
      return item.level == "error";
    });
  };
  document.add("is_ready", !failure && std::ranges::all_of(tables, is_ready));
  document.add_list("tables", tables, [&](const CheckedTable &table) {
    Json json = table_json(table);
    json["is_ready"] = is_ready(table);
    json["items"] = list(table.items, item_json);
    return json;
  });
  return std::move(document).text();
}

std::string verify_document(std::span<const VerifiedTable> tables, const CommandFailure &failure) {
  JsonDocument document = head("verify", failure);
  const auto matches = [](const VerifiedTable &table) {
    return !table.failure && table.verify.matches;
  };
  document.add("matches", !failure && std::ranges::all_of(tables, matches));
  document.add_list("tables", tables, [&](const VerifiedTable &table) {
    Json json = table_json(table);
    json["verify"] = table.failure ? Json() : verify_json(table.verify);
    json["range_list"] = list(table.ranges, range_json);
    return json;
  });
  return std::move(document).text();
}

std::string append_document(std::span<const AppendedTable> tables, const CommandFailure &failure) {
  JsonDocument document = head("append", failure);
  int64_t rows = 0;
  document.add_list("tables", tables, [&rows](const AppendedTable &table) {
    rows += table.rows;
    Json json = table_json(table);
    json["rows"] = table.rows;
    return json;
  });
  document.add("rows", rows);
  return std::move(document).text();
}

std::string sequences_document(const std::vector<SequenceView> &sequences,
                               const CommandFailure &failure) {
  JsonDocument document = head("sequences", failure);
  document.add("sequences", sequences_json(sequences));
  return std::move(document).text();
}

std::string status_document(std::span<const RunView> runs, const CommandFailure &failure) {
  JsonDocument document = head("status", failure);
  document.add_list("runs", runs, [](const RunView &run) {
    const RunTotals totals = totals_of(run);
    JsonDocument json({{"run_id", text_or_null(run.id)},
                       {"state", state_name(state_of(run))},
                       {"started", time_json(run.started)},
                       {"percent", percent_of(fraction_of(run))},
                       {"bytes_per_s", std::llround(current_rate(run))},
                       {"eta_ms", duration_json(time_left(run))},
                       {"tables_done", totals.done},
                       {"tables_failed", totals.failed},
                       {"rows", totals.rows},
                       {"bytes", totals.bytes}});
    json.add_list("tables", run.pulls,
                  [&run](const PullView &pull) { return pull_json(pull, run); });
    return std::move(json).text();
  });
  return std::move(document).text();
}

std::string change_document(std::string_view command, std::span<const ChangedPull> pulls,
                            const CommandFailure &failure) {
  JsonDocument document = head(command, failure);
  document.add_list("pulls", pulls, [](const ChangedPull &pull) {
    return Json{{"id", text_or_null(pull.id)},
                {"table", text_or_null(pull.source_table)},
                {"target", text_or_null(pull.table)},
                {"is_changed", pull.is_changed},
                {"error", failure_json(pull.failure)}};
  });
  return std::move(document).text();
}

} // namespace parallel_loader
