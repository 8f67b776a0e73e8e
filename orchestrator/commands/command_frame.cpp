#include "orchestrator/commands/command_frame.hpp"

#include "core/connection/connection_error.hpp"
#include "orchestrator/base/output.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/commands/own_command.hpp"
#include "orchestrator/commands/swapped_servers.hpp"
#include "orchestrator/run/destination_tables.hpp"

#include <fmt/format.h>

namespace parallel_loader {

namespace {

/// Which machine could not reach it: this one has, or it was not asked to.
Failure with_machine(const Failure &failure) {
  if (failure.status() != ExitStatus::kSourceUnreachable || !failure.detail().empty() ||
      failure.sqlstate() != sqlstate::kCannotConnect)
    return failure;
  return {failure.status(), failure.with_detail("The destination server made the connection.")};
}

} // namespace

CommandFrame::CommandFrame(const Options &options, const Terminal &terminal,
                           const Interrupt &interrupt)
    : options_(options),
      interrupt_(interrupt), style_{.verbosity = options.output.verbosity,
                                    .color = choose_color(options.output.color, terminal)},
      waiter_(interrupt) {}

void CommandFrame::attempt(const std::function<void()> &body) {
  failure_.reset();
  try {
    body();
  } catch (const Failure &failure) {
    failure_ = with_machine(failure);
  } catch (const Error &error) {
    failure_ = Failure(ExitStatus::kFailed, error);
  }
  // Whatever wait the signal broke off.
  if (failure_ && interrupt_.is_raised())
    failure_ = interrupted_failure();
}

ExtensionMover &CommandFrame::open_destination(std::string source) {
  mover_.reset();
  try {
    return mover_.emplace(parse_conninfo("destination", options_.connections.destination),
                          std::move(source), waiter_);
  } catch (const Failure &failure) {
    throw explain_swapped(failure, options_.connections, waiter_);
  }
}

std::vector<CommandFrame::Job> CommandFrame::open_and_select() {
  const SourceTables source = inspect_source(options_, waiter_);
  open_destination(source_for_destination(options_, source));
  for (const CutName &name : source.cut_names)
    warn(Error("42622",
               fmt::format("identifier \"{}\" will be truncated to \"{}\"", name.given, name.cut)));
  std::vector<Job> jobs;
  for (const MissingTable &missing : source.missing)
    jobs.push_back({.table = {.source_table = missing.name, .failure = failure_view(missing.error)},
                    .task = {}});
  std::vector<QualifiedName> names;
  for (const TableJob &job : source.jobs)
    names.push_back(job.task.table);
  const std::vector<DestinationTable> found = find_tables(mover_->destination(), names);
  for (size_t index = 0; index < found.size(); ++index) {
    TableTask task = source.jobs[index].task;
    if (found[index].oid != 0) // with its schema, wherever the search path leads
      task.table = found[index].name;
    const std::string source_table = task.source_table.display();
    const std::string table = task.table.display();
    jobs.push_back(
        {.table = {.source_table = source_table, .table = table}, .task = std::move(task)});
  }
  return jobs;
}

ExitStatus CommandFrame::finish(ExitStatus status, const std::string &document,
                                const std::string &text) const {
  if (failure_)
    write_message(error_text(*failure_, style_));
  const ExitStatus end = failure_ ? failure_->status() : status;
  return write_result(options_.output.is_json ? document + '\n' : text, end);
}

CommandFailure CommandFrame::document_failure() const {
  return failure_ ? CommandFailure(failure_view(*failure_)) : std::nullopt;
}

void CommandFrame::warn(const Error &warning) const {
  write_message(warning_text(warning, style_));
}

void CommandFrame::tell(const TableOf &table) const {
  const FailureView &failure = table.failure.value();
  // Of one that is not there the message has the name.
  const std::string lead =
      table.table.empty() ? "" : fmt::format("{}: ", printable(table.source_table));
  write_message(error_text(
      Error(failure.sqlstate, lead + failure.message, failure.detail, failure.hint), style_));
}

std::string CommandFrame::command(const std::string &words) const {
  return own_command(words, options_.connections);
}

TakeNotice CommandFrame::notices() const {
  return [this](std::string_view message, std::string_view hint) {
    warn(Error("01000", std::string(message), {}, std::string(hint)));
  };
}

} // namespace parallel_loader
