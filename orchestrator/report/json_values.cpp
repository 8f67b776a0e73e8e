#include "orchestrator/report/json_values.hpp"

#include "orchestrator/run/run_figures.hpp"

#include <fmt/chrono.h>

#include <cmath>
#include <utility>

namespace parallel_loader {

Json text_or_null(const std::string &text) {
  return text.empty() ? Json() : Json(text);
}

Json time_json(const std::optional<WallTime> &time) {
  if (!time)
    return nullptr;
  const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(time->time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(static_cast<std::time_t>(seconds.count())),
                     (since_epoch - seconds).count());
}

Json duration_json(const std::optional<std::chrono::milliseconds> &duration) {
  return duration ? Json(duration->count()) : Json();
}

Json failure_json(const std::optional<FailureView> &failure) {
  if (!failure)
    return nullptr;
  return {{"sqlstate", text_or_null(failure->sqlstate)},
          {"message", failure->message},
          {"detail", text_or_null(failure->detail)},
          {"hint", text_or_null(failure->hint)},
          {"command", text_or_null(failure->command)}};
}

namespace {

std::string_view verification_name(Verification mode) {
  switch (mode) {
  case Verification::kNone:
    return "none";
  case Verification::kCount:
    return "count";
  case Verification::kChecksum:
    break;
  }
  return "checksum";
}

template <class Number> Json number_or_null(Number number) {
  return number == 0 ? Json() : Json(number);
}

} // namespace

Json verify_json(const std::optional<VerifyView> &verify) {
  if (!verify)
    return nullptr;
  return {{"mode", verification_name(verify->mode)}, {"matches", verify->matches},
          {"source_rows", verify->source_rows},      {"destination_rows", verify->local_rows},
          {"ranges", verify->range_count},           {"differing_ranges", verify->differing_count}};
}

Json sequences_json(const std::vector<SequenceView> &sequences) {
  Json result = Json::array();
  for (const SequenceView &sequence : sequences)
    result.push_back(
        {{"name", sequence.name}, {"value", sequence.value ? Json(*sequence.value) : Json()}});
  return result;
}

Json item_json(const CheckItem &item) {
  return {{"level", item.level},
          {"item", item.item},
          {"message", item.message},
          {"hint", text_or_null(item.hint)}};
}

namespace {

Json dry_run_json(const DryRunView &dry_run) {
  Json items = Json::array();
  for (const CheckItem &item : dry_run.items)
    items.push_back(item_json(item));
  return {{"estimated_rows", dry_run.estimated_rows},
          {"route", text_or_null(dry_run.route)},
          {"route_reason", text_or_null(dry_run.route_reason)},
          {"is_emptied", dry_run.is_emptied},
          {"items", std::move(items)}};
}

} // namespace

Json pull_json(const PullView &pull, const RunView &run) {
  const auto duration = duration_of(pull, run);
  const auto rate = [&](double per_second) {
    return pull.is_known && duration ? Json(std::llround(per_second)) : Json();
  };
  const auto known = [&pull](auto number) { return pull.is_known ? Json(number) : Json(); };
  Json json = {
      {"id", text_or_null(pull.id)},
      {"table", text_or_null(pull.source_table)},
      {"target", text_or_null(pull.table)},
      {"state", state_name(pull.failure && pull.id.empty() ? PullState::kFailed : pull.state)},
      {"rows", known(pull.rows)},
      {"bytes", known(pull.bytes)},
      {"estimated_bytes", number_or_null(pull.estimated_bytes)},
      {"chunks", pull.chunks},
      {"chunks_done", known(pull.chunks_done)},
      {"retries", pull.retries},
      {"workers", pull.workers},
      {"key", text_or_null(pull.key)},
      {"format", text_or_null(pull.format)},
      {"filter", text_or_null(pull.filter)},
      {"snapshot", text_or_null(pull.snapshot)},
      {"snapshot_taken", time_json(pull.snapshot_taken)},
      {"held_until", time_json(pull.coordinator_ends)},
      {"held_by", number_or_null(pull.coordinator_pid)},
      {"hold_ended", text_or_null(pull.hold_ended)},
      {"started", time_json(pull.started)},
      {"finished", time_json(pull.finished)},
      {"duration_ms", duration_json(duration)},
      {"rows_per_s", rate(mean_row_rate_of(pull, run))},
      {"bytes_per_s", rate(mean_rate_of(pull, run))},
      {"waiting_for", text_or_null(pull.waiting_for)},
      {"max_rate_kb", number_or_null(pull.max_rate_kb)},
      {"verify", verify_json(pull.verify)},
      {"warning", text_or_null(pull.warning)},
      {"error", failure_json(pull.failure)},
      {"next_command", text_or_null(pull.next_command)}};
  if (pull.dry_run)
    json["dry_run"] = dry_run_json(*pull.dry_run);
  return json;
}

Json chunks_json(const PullView &pull) {
  Json chunks = Json::array();
  for (const ChunkView &chunk : pull.chunk_list)
    chunks.push_back({{"chunk", chunk.number},
                      {"start", text_or_null(chunk.start)},
                      {"end", text_or_null(chunk.end)},
                      {"state", state_name(chunk.state)},
                      {"rows", chunk.rows},
                      {"bytes", chunk.bytes},
                      {"attempts", chunk.attempts},
                      {"route", text_or_null(chunk.route)},
                      {"started", time_json(chunk.started)},
                      {"finished", time_json(chunk.finished)},
                      {"copied_by", number_or_null(chunk.copied_by)},
                      {"error", text_or_null(chunk.error)}});
  return chunks;
}

std::string json_line(const Json &document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace parallel_loader
