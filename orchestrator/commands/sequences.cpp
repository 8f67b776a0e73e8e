#include "orchestrator/commands/sequences.hpp"

#include "orchestrator/base/text_table.hpp"
#include "orchestrator/commands/command_frame.hpp"

#include <algorithm>

namespace parallel_loader {

namespace {

void add(std::vector<SequenceView> &sequences, std::vector<SequenceView> more) {
  sequences.insert(sequences.end(), more.begin(), more.end());
}

std::string sequences_text(const std::vector<SequenceView> &sequences) {
  std::vector<std::vector<std::string>> rows;
  rows.reserve(sequences.size());
  for (const SequenceView &sequence : sequences)
    rows.push_back({sequence.name, sequence.value ? std::to_string(*sequence.value) : "-"});
  return text_table({{"sequence"}, {"value", Align::kRight}}, rows);
}

} // namespace

ExitStatus set_sequences(const Options &options, const Terminal &terminal,
                         const Interrupt &interrupt) {
  CommandFrame frame(options, terminal, interrupt);
  std::vector<SequenceView> sequences;
  std::vector<TableOf> tables;
  frame.attempt([&] {
    if (selects_tables(options.selection))
      return frame.for_each_table<TableOf>(
          tables, [&](ExtensionMover &mover, const TableTask &task, TableOf &) {
            add(sequences, mover.set_sequences(task.table, frame.notices()));
          });
    const SourceTables source = reach_source(options, frame.waiter());
    add(sequences, frame.open_destination(source_for_destination(options, source))
                       .set_sequences(std::nullopt, frame.notices()));
  });
  CommandFailure failure = frame.document_failure();
  for (const TableOf &table : tables)
    if (!failure)
      failure = table.failure;
  const bool are_set = std::ranges::all_of(
      sequences, [](const SequenceView &sequence) { return sequence.value.has_value(); });
  return frame.finish(are_set ? status_of(tables) : ExitStatus::kFailed,
                      sequences_document(sequences, failure),
                      frame.failure() ? "" : sequences_text(sequences));
}

} // namespace parallel_loader
