#include "orchestrator/commands/check.hpp"

#include "orchestrator/base/text.hpp"
#include "orchestrator/base/text_table.hpp"
#include "orchestrator/commands/command_frame.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

namespace parallel_loader {

namespace {

bool has_error(const CheckedTable &table) {
  return std::ranges::any_of(
      table.items, [](const CheckItem &item) { return item.level == "error"; });
}

/// What is as it should be is left out, unless `is_verbose`.
std::string check_text(const std::vector<CheckedTable> &tables, bool is_verbose) {
  std::vector<std::vector<std::string>> rows;
  std::map<std::string_view, int64_t> counts;
  for (const CheckedTable &table : tables) {
    counts["error"] += table.failure ? 1 : 0;
    for (const CheckItem &item : table.items) {
      ++counts[item.level];
      if (is_verbose || item.level != "info")
        rows.push_back({table.source_table, item.level, item.item, item.message, item.hint});
    }
  }
  std::string text =
      rows.empty()
          ? ""
          : text_table({{"table"}, {"level"}, {"item"}, {"message"}, {"hint"}}, rows) + '\n';
  return text + fmt::format("{}: {}, {}\n",
                            format_number_of(static_cast<int64_t>(tables.size()), "table"),
                            format_number_of(counts["error"], "error"),
                            format_number_of(counts["warning"], "warning"));
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
  return frame.finish(
      status, check_document(tables, frame.document_failure()),
      frame.failure() ? "" : check_text(tables, options.output.verbosity == Verbosity::kVerbose));
}

} // namespace parallel_loader
