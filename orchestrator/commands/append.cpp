#include "orchestrator/commands/append.hpp"

#include "orchestrator/base/output.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/base/text_table.hpp"
#include "orchestrator/commands/command_frame.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>

namespace parallel_loader {

namespace {

std::string append_text(const std::vector<AppendedTable> &tables) {
  std::vector<std::vector<std::string>> rows;
  for (const AppendedTable &table : tables)
    if (!table.failure)
      rows.push_back({table.source_table, format_count(table.rows)});
  return rows.empty() ? "" : text_table({{"table"}, {"new rows", Align::kRight}}, rows);
}

/// Of a round that is one of many: a line for each table that has got rows.
std::string round_text(const std::vector<AppendedTable> &tables) {
  const auto now =
      std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  std::string text;
  for (const AppendedTable &table : tables)
    if (!table.failure && table.rows > 0)
      text += fmt::format("{:%Y-%m-%d %H:%M:%S}Z {}: {} new {}\n", fmt::gmtime(now),
                          printable(table.source_table), format_count(table.rows),
                          table.rows == 1 ? "row" : "rows");
  return text;
}

ExitStatus append_once(CommandFrame &frame) {
  std::vector<AppendedTable> tables;
  frame.attempt([&] {
    frame.for_each_table<AppendedTable>(
        tables, [&](ExtensionMover &mover, const TableTask &task, AppendedTable &table) {
          table.rows = mover.append(task, frame.notices());
        });
  });
  const bool is_repeated = frame.options().repetition.every.has_value();
  if (is_repeated && frame.interrupt().is_raised()) // how it ends; what it was at is undone
    return ExitStatus::kDone;
  return frame.finish(status_of(tables), append_document(tables, frame.document_failure()),
                      is_repeated ? round_text(tables) : append_text(tables));
}

/// A table that fails, and a server that is away for a while, are for the next round.
ExitStatus append_repeatedly(CommandFrame &frame, std::chrono::seconds period) {
  ExitStatus status = append_once(frame);
  if (frame.failure()) // nothing to wait for: it has never worked
    return status;
  if (!frame.is_quiet() && !frame.interrupt().is_raised())
    write_message(
        fmt::format("parallel-loader: appends every {} until Ctrl-C\n", format_duration(period)));
  while (!frame.interrupt().is_raised()) {
    wait_for_any({frame.interrupt().fd()}, period);
    if (!frame.interrupt().is_raised())
      status = append_once(frame);
  }
  return status;
}

} // namespace

ExitStatus append_tables(const Options &options, const Terminal &terminal,
                         const Interrupt &interrupt) {
  CommandFrame frame(options, terminal, interrupt);
  return options.repetition.every ? append_repeatedly(frame, *options.repetition.every)
                                  : append_once(frame);
}

} // namespace parallel_loader
