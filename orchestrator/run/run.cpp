#include "orchestrator/run/run.hpp"

#include "core/base/error.hpp"
#include "orchestrator/base/text.hpp"

#include <array>
#include <utility>

namespace parallel_loader {

namespace {

constexpr std::array<std::pair<RunState, std::string_view>, 7> kStateNames{{
    {RunState::kPlanned, "planned"},
    {RunState::kRunning, "running"},
    {RunState::kPaused, "paused"},
    {RunState::kDone, "done"},
    {RunState::kFailed, "failed"},
    {RunState::kCancelled, "cancelled"},
    {RunState::kInterrupted, "interrupted"},
}};

double per_second(int64_t amount, std::chrono::milliseconds elapsed) {
  return elapsed.count() <= 0
             ? 0.0
             : static_cast<double>(amount) * 1000.0 / static_cast<double>(elapsed.count());
}

} // namespace

RunState parse_run_state(std::string_view word) {
  for (const auto &[state, name] : kStateNames)
    if (name == word)
      return state;
  throw Error(sqlstate::kInternalError,
              "the destination has a pull in state \"" + std::string(word) + "\"");
}

std::string_view run_state_name(RunState state) noexcept {
  return kStateNames[static_cast<size_t>(state)].second;
}

bool has_ended(RunState state) noexcept {
  switch (state) {
  case RunState::kPlanned:
  case RunState::kRunning:
  case RunState::kPaused:
    return false;
  case RunState::kDone:
  case RunState::kFailed:
  case RunState::kCancelled:
  case RunState::kInterrupted:
    return true;
  }
  return true;
}

std::string run_label(const Run &run) {
  return run.destination.empty() || run.destination == run.table
             ? printable(run.table)
             : printable(run.table) + " -> " + printable(run.destination);
}

double rows_per_s(const Run &run) noexcept {
  return per_second(run.row_count, run.elapsed);
}
double bytes_per_s(const Run &run) noexcept {
  return per_second(run.byte_count, run.elapsed);
}

} // namespace parallel_loader
