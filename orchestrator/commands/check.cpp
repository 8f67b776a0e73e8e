#include "orchestrator/commands/check.hpp"

#include "orchestrator/base/text_table.hpp"
#include "orchestrator/commands/command_frame.hpp"

#include <algorithm>

namespace parallel_loader {

namespace {

bool has_error(const CheckedTable &table) {
  return std::ranges::any_of(
      table.items, [](const CheckItem &item) { return item.level == "error"; });
}

std::string check_text(const std::vector<CheckedTable> &tables) {
  std::vector<std::vector<std::string>> rows;
  for (const CheckedTable &table : tables)
    for (const CheckItem &item : table.items)
      rows.push_back({table.source_table, item.level, item.item, item.message, item.hint});
  return rows.empty() ? ""
                      : text_table({{"table"}, {"level"}, {"item"}, {"message"}, {"hint"}}, rows);
}

} // namespace

ExitStatus check_tables(const Options &options, const Terminal &terminal,
                        const Interrupt &interrupt) {
  CommandFrame frame(options, terminal, interrupt);
  std::vector<CheckedTable> tables;
  frame.attempt([&] {
    frame.for_each_table<CheckedTable>(
        tables, [](ExtensionMover &mover, const TableTask &task, CheckedTable &table) {
          table.items = mover.check(task);
        });
  });
  const ExitStatus status =
      std::ranges::any_of(tables, has_error) ? ExitStatus::kFailed : status_of(tables);
  return frame.finish(status, check_document(tables, frame.document_failure()), check_text(tables));
}

} // namespace parallel_loader
