#include "orchestrator/display/report.hpp"

#include "orchestrator/base/condition.hpp"
#include "orchestrator/base/text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace parallel_loader {

namespace {

/// What a reader wants to know of the state; the ledger's words stay in the JSON document.
std::string state_text(const Run &run, const Error *failure, Color color) {
  if (run.state == RunState::kDone)
    return paint("loaded", Ink::kGreen, color);
  const bool is_cancelled = failure != nullptr && failure->sqlstate() == "57014";
  if (failure != nullptr && !is_cancelled)
    return paint("failed: " + condition_text(failure->sqlstate()), Ink::kRed, color);
  return paint(run_state_name(run.state), Ink::kYellow, color);
}

nlohmann::ordered_json text_or_null(const std::string &text) {
  return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
}

template <class Number> nlohmann::ordered_json if_known(const Run &run, Number number) {
  return run.is_known ? nlohmann::ordered_json(number) : nlohmann::ordered_json();
}

std::string joined(const std::string &sentences, const std::string &more) {
  return sentences + (sentences.empty() || more.empty() ? "" : " ") + more;
}

// What standard error says in two hints.
nlohmann::ordered_json error_json(const Run &run, const Error *failure) {
  if (failure == nullptr)
    return nullptr;
  return {{"sqlstate", text_or_null(failure->sqlstate())},
          {"message", failure->message()},
          {"detail", text_or_null(failure->detail())},
          {"hint", text_or_null(joined(failure->hint(), leftover_hint(run).value_or("")))}};
}

} // namespace

std::string summary_text(const Run &run, const Error *failure, Color color) {
  const std::string label = run_label(run);
  const size_t name_width = std::max<size_t>(16, text_width(label));
  const auto row = [name_width](std::string_view name, std::string_view rows, std::string_view size,
                                std::string_view time, std::string_view rate,
                                std::string_view state) {
    return pad_right(name, name_width) + pad_left(rows, 14) + pad_left(size, 11) +
           pad_left(time, 10) + pad_left(rate, 11) + "   " + std::string(state) + "\n";
  };
  const auto shown = [&run](std::string_view number) { return run.is_known ? number : "?"; };
  return row("table", "rows", "size", "time", "rate", "state") +
         row(label, shown(format_count(run.row_count)), shown(format_size(run.byte_count)),
             format_duration(run.elapsed), shown(format_rate(bytes_per_s(run))),
             state_text(run, failure, color));
}

namespace {

// How to copy the others, up to where the rest of the hint begins.
std::string resume_sentence(const Run &run) {
  const bool is_on_path = run.function_schema.empty() || run.function_schema == "\"public\"";
  const std::string schema = is_on_path ? "" : run.function_schema + ".";
  if (run.is_held) {
    return fmt::format(
        "While the snapshot is held, SELECT * FROM {}parallel_pull_resume({}); on the "
        "destination copies the others. Otherwise ",
        schema, run.pull_id);
  }
  if (run.is_left_alive) {
    return fmt::format("On the destination, SELECT * FROM {}parallel_pull_work({}); copies the "
                       "others. Otherwise cancel the pull and ",
                       schema, run.pull_id);
  }
  if (run.has_block_ranges)
    return "The others are ranges of ctid, which cannot be resumed without their snapshot: ";
  return fmt::format(
      "On the destination, SELECT * FROM {}parallel_pull_resume({}{}, new_snapshot => "
      "true); copies the others under a new snapshot. Otherwise ",
      schema, run.pull_id, run.needs_password ? ", 'CONNECTION STRING WITH ITS PASSWORD'" : "");
}

} // namespace

std::optional<std::string> leftover_hint(const Run &run) {
  if (!run.is_known)
    return fmt::format("The ledger has what is done: see parallel_pulls for pull {}. {}empty the "
                       "table before you copy it again.",
                       run.pull_id, resume_sentence(run));
  if (run.state == RunState::kDone || run.chunk_done_count == 0)
    return std::nullopt;
  return fmt::format("{} of {} chunks {} in the table. {}empty the table before you copy it again.",
                     run.chunk_done_count, run.chunk_count,
                     run.chunk_done_count == 1 ? "is done and stays" : "are done and stay",
                     resume_sentence(run));
}

std::string command_tag(const Run &run) {
  return fmt::format("COPY {}", run.row_count);
}

std::span<const JsonField> json_fields() noexcept {
  static constexpr std::array<JsonField, 15> kFields{{
      {"version", "string", "version of the program that wrote the document"},
      {"command", "string", "`copy`"},
      {"pull_id", "number or null",
       "the pull in the destination's ledger; null when none was made"},
      {"table", "string or null", "the table on the source; null when it was not found"},
      {"target", "string or null", "the table on the destination; null when it was not found"},
      {"state", "string",
       "`done`, `failed`, `cancelled`, or `interrupted` when the destination lost the pull; "
       "`running` when it could not be cancelled"},
      {"rows", "number or null",
       "rows that are in the destination table, committed; null, as are bytes and `chunks_done`, "
       "when the destination was lost and could not be asked again within five seconds"},
      {"bytes", "number or null", "bytes of row data that the destination received for them"},
      {"chunks", "number", "ranges that the table was cut into, one transaction each"},
      {"chunks_done", "number or null", "those of them that are committed"},
      {"jobs", "number", "sessions that were started on the destination"},
      {"duration_ms", "number", "from the start of the program's work to its end"},
      {"rows_per_s", "number or null", "rows over duration"},
      {"bytes_per_s", "number or null", "bytes over duration"},
      {"error", "object or null",
       "`sqlstate` (null for wrong usage), `message`, `detail` and `hint`, which also says how to "
       "continue (null where there is none)"},
  }};
  return kFields;
}

std::string json_document(const Run &run, const Error *failure) {
  const nlohmann::ordered_json document{
      {"version", PARALLEL_LOADER_VERSION},
      {"command", "copy"},
      {"pull_id",
       run.pull_id == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(run.pull_id)},
      {"table", text_or_null(run.table)},
      {"target", text_or_null(run.destination)},
      {"state", run_state_name(run.state)},
      {"rows", if_known(run, run.row_count)},
      {"bytes", if_known(run, run.byte_count)},
      {"chunks", run.chunk_count},
      {"chunks_done", if_known(run, run.chunk_done_count)},
      {"jobs", run.session_count},
      {"duration_ms", run.elapsed.count()},
      {"rows_per_s", if_known(run, std::llround(rows_per_s(run)))},
      {"bytes_per_s", if_known(run, std::llround(bytes_per_s(run)))},
      {"error", error_json(run, failure)}};
  // Messages of a server with another encoding may hold bytes that are no UTF-8: replaced, since
  // a document that cannot be written helps nobody.
  return document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace parallel_loader
