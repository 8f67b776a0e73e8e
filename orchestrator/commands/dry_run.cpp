#include "orchestrator/commands/dry_run.hpp"

#include "orchestrator/base/output.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace parallel_loader {

namespace {

struct Planned {
  std::vector<PlannedChunk> chunks;
  std::vector<CheckItem> items;
};

void take(const Planned &planned, PullView &pull) {
  pull.chunks = static_cast<int>(planned.chunks.size());
}

std::string table_text(const Planned &planned, const PullView &pull, bool is_emptied) {
  int64_t rows = 0;
  int64_t bytes = 0;
  for (const PlannedChunk &chunk : planned.chunks) {
    rows += chunk.estimated_rows;
    bytes += chunk.estimated_bytes;
  }
  std::string text =
      fmt::format("{}: {}, about {} rows, {}", printable(label_of(pull)), format_size(bytes),
                  format_count(rows), format_number_of(pull.chunks, "chunk"));
  if (!planned.chunks.empty()) {
    const PlannedChunk &first = planned.chunks.front();
    text += fmt::format(", route {}", first.route);
    if (!first.route_reason.empty())
      text += fmt::format(" ({})", first.route_reason);
  }
  text += is_emptied ? "\n  It is emptied first.\n" : "\n";
  for (const CheckItem &item : planned.items) {
    if (item.item == "rows" && is_emptied)
      continue;
    if (item.level != "info")
      text += fmt::format("  {}: {}\n{}", item.level, printable(item.message),
                          item.hint.empty() ? "" : "    " + printable(item.hint) + "\n");
    else if (item.item == "key")
      text += fmt::format("  {}\n", printable(item.message));
  }
  return text;
}

} // namespace

void show_dry_run(RunSession &session, std::span<const TableJob> jobs,
                  std::span<const size_t> places) {
  std::vector<Planned> planned(jobs.size());
  std::vector<size_t> tables(jobs.size());
  for (size_t index = 0; index < tables.size(); ++index)
    tables[index] = index;
  session.for_each_table(tables, [&](Mover &mover, size_t index) {
    try {
      planned[index] = {.chunks = mover.plan(jobs[index].task),
                        .items = mover.check(jobs[index].task)};
    } catch (const Failure &) {
      throw; // of a server
    } catch (const Error &error) {
      PullView &pull = session.view().pulls[places[index]];
      pull.state = PullState::kFailed;
      pull.failure = failure_view(error);
    }
  });
  std::string text;
  for (size_t index = 0; index < jobs.size(); ++index) {
    PullView &pull = session.view().pulls[places[index]];
    if (pull.failure)
      continue;
    take(planned[index], pull);
    text += table_text(planned[index], pull, session.options().safety.truncates);
  }
  if (!session.options().output.is_json)
    static_cast<void>(write_result(text, ExitStatus::kDone));
}

} // namespace parallel_loader
