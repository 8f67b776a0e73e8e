#include "orchestrator/commands/dry_run.hpp"

#include "orchestrator/base/output.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <numeric>
#include <vector>

namespace parallel_loader {

namespace {

void take(const std::vector<PlannedChunk> &chunks, std::vector<CheckItem> items, bool is_emptied,
          PullView &pull) {
  pull.chunks = static_cast<int>(chunks.size());
  pull.estimated_bytes = 0;
  DryRunView &dry_run = pull.dry_run.emplace();
  for (const PlannedChunk &chunk : chunks) {
    dry_run.estimated_rows += chunk.estimated_rows;
    pull.estimated_bytes += chunk.estimated_bytes;
  }
  if (!chunks.empty()) {
    dry_run.route = chunks.front().route;
    dry_run.route_reason = chunks.front().route_reason;
  }
  dry_run.is_emptied = is_emptied;
  if (is_emptied) // the rows that are there matter no more
    std::erase_if(items, [](const CheckItem &item) { return item.item == "rows"; });
  dry_run.items = std::move(items);
  pull.failure = failure_of(dry_run.items);
  if (pull.failure)
    pull.state = PullState::kFailed;
}

std::string table_text(const PullView &pull, const DryRunView &dry_run) {
  std::string text = fmt::format(
      "{}: {}, about {} rows, {}", printable(label_of(pull)), format_size(pull.estimated_bytes),
      format_count(dry_run.estimated_rows), format_number_of(pull.chunks, "chunk"));
  if (!dry_run.route.empty())
    text += fmt::format(", route {}", dry_run.route);
  if (!dry_run.route_reason.empty())
    text += fmt::format(" ({})", dry_run.route_reason);
  text += dry_run.is_emptied ? "\n  It is emptied first.\n" : "\n";
  for (const CheckItem &item : dry_run.items)
    if (item.level != "info")
      text += fmt::format("  {}: {}\n{}", item.level, printable(item.message),
                          item.hint.empty() ? "" : "    " + printable(item.hint) + "\n");
    else if (item.item == "key")
      text += fmt::format("  {}\n", printable(item.message));
  return text;
}

} // namespace

void show_dry_run(RunSession &session, std::span<const TableJob> jobs,
                  std::span<const size_t> places) {
  const bool is_emptied = session.options().safety.truncates;
  std::vector<size_t> tables(jobs.size());
  std::iota(tables.begin(), tables.end(), 0U);
  session.for_each_table(tables, [&](Mover &mover, size_t index) {
    PullView &pull = session.view().pulls[places[index]];
    try {
      take(mover.plan(jobs[index].task), mover.check(jobs[index].task), is_emptied, pull);
    } catch (const Failure &) {
      throw; // of a server
    } catch (const Error &error) {
      pull.state = PullState::kFailed;
      pull.failure = failure_view(error);
    }
  });
  std::string text;
  for (const size_t place : places)
    if (const PullView &pull = session.view().pulls[place]; pull.dry_run)
      text += table_text(pull, *pull.dry_run);
  if (!session.options().output.is_json)
    static_cast<void>(write_result(text, ExitStatus::kDone));
}

} // namespace parallel_loader
