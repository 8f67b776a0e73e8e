#include "orchestrator/commands/verify.hpp"

#include "orchestrator/base/text.hpp"
#include "orchestrator/base/text_table.hpp"
#include "orchestrator/commands/command_frame.hpp"

#include <algorithm>

namespace parallel_loader {

namespace {

VerifyView total_of(const std::vector<VerifiedRange> &ranges) {
  VerifyView total{.mode = Verification::kChecksum, .matches = true};
  for (const VerifiedRange &range : ranges) {
    total.source_rows += range.source_rows;
    total.local_rows += range.local_rows;
    ++total.range_count;
    total.differing_count += range.matches ? 0 : 1;
  }
  total.matches = total.differing_count == 0;
  return total;
}

std::string verify_text(const std::vector<VerifiedTable> &tables) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::vector<std::string>> differences;
  for (const VerifiedTable &table : tables) {
    if (table.failure)
      continue;
    rows.push_back({table.source_table, format_count(table.verify.source_rows),
                    format_count(table.verify.local_rows), std::to_string(table.verify.range_count),
                    table.verify.matches ? "equal" : "different"});
    for (const VerifiedRange &range : table.ranges)
      if (!range.matches)
        differences.push_back({table.source_table, std::to_string(range.number),
                               range.start.empty() ? "-" : range.start,
                               range.end.empty() ? "-" : range.end, range.nulls ? "yes" : "",
                               format_count(range.source_rows), format_count(range.local_rows)});
  }
  if (rows.empty())
    return "";
  std::string text = text_table({{"table"},
                                 {"rows on source", Align::kRight},
                                 {"on destination", Align::kRight},
                                 {"ranges", Align::kRight},
                                 {"result"}},
                                rows);
  if (!differences.empty())
    text += "\nRanges that differ:\n" + text_table({{"table"},
                                                    {"range", Align::kRight},
                                                    {"start"},
                                                    {"end"},
                                                    {"nulls"},
                                                    {"rows on source", Align::kRight},
                                                    {"on destination", Align::kRight}},
                                                   differences);
  return text;
}

} // namespace

ExitStatus verify_tables(const Options &options, const Terminal &terminal,
                         const Interrupt &interrupt) {
  CommandFrame frame(options, terminal, interrupt);
  std::vector<VerifiedTable> tables;
  frame.attempt([&] {
    frame.for_each_table<VerifiedTable>(
        tables, [](ExtensionMover &mover, const TableTask &task, VerifiedTable &table) {
          table.ranges = mover.verify(task);
          table.verify = total_of(table.ranges);
        });
  });
  // A difference is worse than a table that could not be compared.
  const bool differs = std::ranges::any_of(tables, [](const VerifiedTable &table) {
    return !table.failure && table.verify.range_count > 0 && !table.verify.matches;
  });
  return frame.finish(differs ? ExitStatus::kDiffers : status_of(tables),
                      verify_document(tables, frame.document_failure()), verify_text(tables));
}

} // namespace parallel_loader
