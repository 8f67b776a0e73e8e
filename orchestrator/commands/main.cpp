// main: the parallel-loader program.
#include "orchestrator/base/output.hpp"
#include "orchestrator/cli/command_text.hpp"
#include "orchestrator/cli/completion.hpp"
#include "orchestrator/cli/help.hpp"
#include "orchestrator/cli/manual.hpp"
#include "orchestrator/cli/password_cover.hpp"
#include "orchestrator/commands/append.hpp"
#include "orchestrator/commands/change.hpp"
#include "orchestrator/commands/check.hpp"
#include "orchestrator/commands/complete_tables.hpp"
#include "orchestrator/commands/copy.hpp"
#include "orchestrator/commands/plan.hpp"
#include "orchestrator/commands/resume.hpp"
#include "orchestrator/commands/sequences.hpp"
#include "orchestrator/commands/status.hpp"
#include "orchestrator/commands/verify.hpp"
#include "orchestrator/report/command_json.hpp"
#include "orchestrator/report/json_report.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace parallel_loader {

namespace {

ExitStatus run_command(const Options &options, const Terminal &terminal) {
  const Interrupt interrupt;
  switch (options.command) {
  case Command::kCopy:
    return copy_tables(options, terminal, interrupt);
  case Command::kResume:
    return resume_run(options, terminal, interrupt);
  case Command::kStatus:
    return show_status(options, terminal, interrupt);
  case Command::kCancel:
    return cancel_run(options, terminal, interrupt);
  case Command::kAlter:
    return alter_run(options, terminal, interrupt);
  case Command::kPlan:
    return plan_tables(options, terminal, interrupt);
  case Command::kCheck:
    return check_tables(options, terminal, interrupt);
  case Command::kVerify:
    return verify_tables(options, terminal, interrupt);
  case Command::kAppend:
    return append_tables(options, terminal, interrupt);
  case Command::kSequences:
    return set_sequences(options, terminal, interrupt);
  }
  return ExitStatus::kUsage;
}

/// What packages install.
std::string generated(std::span<const std::string> arguments) {
  const std::string_view kind = arguments.size() == 1 ? std::string_view(arguments.front()) : "";
  if (kind == "markdown")
    return manual_markdown();
  if (kind == "man")
    return manual_page();
  if (kind == "bash")
    return bash_completion();
  if (kind == "zsh")
    return zsh_completion();
  if (kind == "fish")
    return fish_completion();
  throw usage_failure("nothing is known to be generated under that name",
                      "Give markdown, man, bash, zsh or fish.");
}

ExitStatus run(const Invocation &invocation, const Terminal &terminal) {
  switch (invocation.action) {
  case Action::kHelp:
    return write_result(main_help(), ExitStatus::kDone);
  case Action::kCommandHelp:
    return write_result(command_help(invocation.options.command), ExitStatus::kDone);
  case Action::kUsage:
    return write_result(main_usage(), ExitStatus::kDone);
  case Action::kCommandUsage:
    return write_result(command_usage(invocation.options.command), ExitStatus::kDone);
  case Action::kGenerate:
    return write_result(generated(invocation.arguments), ExitStatus::kDone);
  case Action::kCompleteTables:
    return complete_tables(invocation.arguments);
  case Action::kVersion:
    return write_result("parallel-loader " PARALLEL_LOADER_VERSION "\n", ExitStatus::kDone);
  case Action::kRun:
    return run_command(invocation.options, terminal);
  }
  return ExitStatus::kUsage;
}

/// The document of the command that `word` is meant to be.
std::string usage_document(std::string_view word, const FailureView &failure) {
  const auto texts = command_texts();
  const auto text = std::ranges::find(texts, word, &CommandText::name);
  switch (text == texts.end() ? Command::kCopy : text->command) {
  case Command::kPlan:
    return plan_document({}, failure);
  case Command::kCheck:
    return check_document({}, failure);
  case Command::kVerify:
    return verify_document({}, failure);
  case Command::kAppend:
    return append_document({}, failure);
  case Command::kSequences:
    return sequences_document({}, failure);
  case Command::kStatus:
    return status_document({}, failure);
  case Command::kCancel:
  case Command::kAlter:
    return change_document(word, {}, failure);
  case Command::kCopy:
  case Command::kResume:
    break;
  }
  RunView run;
  run.command = text == texts.end() ? "copy" : word;
  run.failure = failure;
  return copy_document(run, JsonDetail::kRun);
}

/// Arguments that cannot be read still say whether a program reads the answer.
ExitStatus report_usage(const Failure &failure, const std::vector<std::string> &arguments,
                        const Terminal &terminal) {
  write_message(error_text(failure, {.color = choose_color(When::kAuto, terminal)}));
  if (std::ranges::find(arguments, "--json") == arguments.end())
    return failure.status();
  return write_result(usage_document(arguments.front(), failure_view(failure)) + "\n",
                      failure.status());
}

ExitStatus run_program(const std::vector<std::string> &arguments) {
  const Terminal terminal = inspect_terminal(STDERR_FILENO, process_environment);
  try {
    return run(parse_invocation(arguments), terminal);
  } catch (const Failure &failure) {
    return report_usage(failure, arguments, terminal);
  }
}

} // namespace

} // namespace parallel_loader

int main(int argc, char **argv) {
  using namespace parallel_loader;
  prepare_streams();
  try {
    char **const begin = argv + std::min(argc, 1);
    const std::vector<std::string> arguments(begin, argv + argc);
    cover_passwords({begin, argv + argc});
    return static_cast<int>(run_program(arguments));
  } catch (const std::exception &error) {
    write_message(error_text(Error(sqlstate::kInternalError, error.what()), {}));
    return static_cast<int>(ExitStatus::kFailed);
  }
}
