#include "orchestrator/commands/plan.hpp"

#include "orchestrator/base/text.hpp"
#include "orchestrator/base/text_table.hpp"
#include "orchestrator/commands/command_frame.hpp"

#include <fmt/format.h>

namespace parallel_loader {

namespace {

std::string bound(const std::string &value) {
  return value.empty() ? "-" : value;
}

std::string table_text(const PlannedTable &table) {
  std::vector<std::vector<std::string>> rows;
  int64_t bytes = 0;
  int64_t row_count = 0;
  for (const PlannedChunk &chunk : table.chunks) {
    bytes += chunk.estimated_bytes;
    row_count += chunk.estimated_rows;
    rows.push_back({std::to_string(chunk.number), bound(chunk.start), bound(chunk.end),
                    chunk.nulls ? "yes" : "", format_count(chunk.estimated_rows),
                    format_size(chunk.estimated_bytes), chunk.route});
  }
  std::string text = fmt::format("{}: {}, about {} rows, {}\n", printable(table.source_table),
                                 format_number_of(static_cast<int64_t>(rows.size()), "chunk"),
                                 format_count(row_count), format_size(bytes));
  text += text_table({{"chunk", Align::kRight},
                      {"start"},
                      {"end"},
                      {"nulls"},
                      {"rows, about", Align::kRight},
                      {"size", Align::kRight},
                      {"route"}},
                     rows);
  if (!table.chunks.empty() && !table.chunks.front().route_reason.empty())
    text += fmt::format("route {}: {}\n", table.chunks.front().route,
                        printable(table.chunks.front().route_reason));
  return text;
}

} // namespace

ExitStatus plan_tables(const Options &options, const Terminal &terminal,
                       const Interrupt &interrupt) {
  CommandFrame frame(options, terminal, interrupt);
  std::vector<PlannedTable> tables;
  frame.attempt([&] {
    frame.for_each_table<PlannedTable>(
        tables, [](ExtensionMover &mover, const TableTask &task, PlannedTable &table) {
          table.key = task.key.value_or("");
          table.chunks = mover.plan(task);
          for (const CheckItem &item : mover.check(task))
            if (item.level == "warning")
              table.warnings.push_back(item.message);
        });
  });
  std::string text;
  for (const PlannedTable &table : tables)
    if (!table.failure) {
      text += (text.empty() ? "" : "\n") + table_text(table);
      for (const std::string &warning : table.warnings)
        frame.warn(Error("01000", fmt::format("{}: {}", printable(table.source_table), warning)));
    }
  return frame.finish(status_of(tables), plan_document(tables, frame.document_failure()), text);
}

} // namespace parallel_loader
