#include "core/ledger/pull_state.hpp"

#include "core/base/error.hpp"

#include <algorithm>

namespace parallel_loader {

namespace {

using State = PullState;
using Event = PullEvent;
using Actor = PullActor;

// All that can become of a pull.  What stands in no line cannot happen, and is refused.
constexpr Transition kTransitions[] = {
    {State::kPlanned, Event::kWorkerJoined, Actor::kCoordinator, State::kRunning},
    {State::kPlanned, Event::kPause, Actor::kCoordinator, State::kPaused},
    {State::kRunning, Event::kPause, Actor::kCoordinator, State::kPaused},
    {State::kPaused, Event::kGoOn, Actor::kCoordinator, State::kRunning},
    {State::kPaused, Event::kGoOnUnbegun, Actor::kCoordinator, State::kPlanned},

    {State::kPlanned, Event::kAllDone, Actor::kCoordinator, State::kDone}, // it has no chunk
    {State::kRunning, Event::kAllDone, Actor::kCoordinator, State::kDone},
    {State::kPaused, Event::kAllDone, Actor::kCoordinator, State::kDone}, // the last one committed

    {State::kPlanned, Event::kFailure, Actor::kCoordinator, State::kFailed},
    {State::kRunning, Event::kFailure, Actor::kCoordinator, State::kFailed},
    {State::kPaused, Event::kFailure, Actor::kCoordinator, State::kFailed},

    {State::kPlanned, Event::kCancel, Actor::kCoordinator, State::kCancelled},
    {State::kRunning, Event::kCancel, Actor::kCoordinator, State::kCancelled},
    {State::kPaused, Event::kCancel, Actor::kCoordinator, State::kCancelled},
    {State::kInterrupted, Event::kCancel, Actor::kCaller, State::kCancelled},

    {State::kFailed, Event::kResume, Actor::kResume, State::kRunning},
    {State::kCancelled, Event::kResume, Actor::kResume, State::kRunning},
    {State::kInterrupted, Event::kResume, Actor::kResume, State::kRunning},
};

struct StateName {
  PullState state;
  std::string_view name;
};

constexpr StateName kStateNames[] = {
    {State::kPlanned, "planned"},         {State::kRunning, "running"},
    {State::kPaused, "paused"},           {State::kDone, "done"},
    {State::kFailed, "failed"},           {State::kCancelled, "cancelled"},
    {State::kInterrupted, "interrupted"},
};

} // namespace

std::optional<PullState> next_state(PullState from, PullEvent event, PullActor actor) noexcept {
  for (const Transition &line : kTransitions)
    if (line.from == from && line.event == event && line.actor == actor)
      return line.to;
  return std::nullopt;
}

PullState state_after(PullEvent event, PullActor actor) {
  for (const Transition &line : kTransitions)
    if (line.event == event && line.actor == actor)
      return line.to;
  throw Error(sqlstate::kInternalError, "no state of a pull follows from this event");
}

// What has no coordinator any more stands in the ledger as it was when it had one.
std::vector<std::string> source_states(PullEvent event, PullActor actor) {
  std::vector<std::string> names;
  for (const Transition &line : kTransitions) {
    if (line.event != event || line.actor != actor)
      continue;
    if (line.from == State::kInterrupted)
      names.insert(names.end(), {"planned", "running", "paused"});
    else
      names.emplace_back(state_name(line.from));
  }
  return names;
}

bool has_ended(PullState state) noexcept {
  return state == State::kDone || state == State::kFailed || state == State::kCancelled;
}

std::string_view state_name(PullState state) noexcept {
  return kStateNames[static_cast<size_t>(state)].name;
}

PullState parse_pull_state(std::string_view name) {
  const auto *found = std::ranges::find(kStateNames, name, &StateName::name);
  if (found == std::end(kStateNames))
    throw Error(sqlstate::kInternalError, "\"" + std::string(name) + "\" is no state of a pull");
  return found->state;
}

} // namespace parallel_loader
