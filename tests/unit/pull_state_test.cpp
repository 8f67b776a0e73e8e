// pull_state_test: every event in every state, by everybody.
#include "core/ledger/pull_state.hpp"

#include "core/base/error.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace parallel_loader {
namespace {

using State = PullState;
using Event = PullEvent;
using Actor = PullActor;

// What is allowed, said once more and in another way than the table says it.
std::optional<State> expected(State from, Event event, Actor actor) {
  const bool is_alive =
      from == State::kPlanned || from == State::kRunning || from == State::kPaused;
  if (actor == Actor::kResume) {
    const bool may_go_on =
        from == State::kFailed || from == State::kCancelled || from == State::kInterrupted;
    return event == Event::kResume && may_go_on ? std::optional(State::kRunning) : std::nullopt;
  }
  if (actor == Actor::kCaller) {
    return event == Event::kCancel && from == State::kInterrupted ? std::optional(State::kCancelled)
                                                                  : std::nullopt;
  }
  if (!is_alive)
    return std::nullopt;
  switch (event) {
  case Event::kWorkerJoined:
    return from == State::kPlanned ? std::optional(State::kRunning) : std::nullopt;
  case Event::kPause:
    return from != State::kPaused ? std::optional(State::kPaused) : std::nullopt;
  case Event::kGoOn:
    return from == State::kPaused ? std::optional(State::kRunning) : std::nullopt;
  case Event::kGoOnUnbegun:
    return from == State::kPaused ? std::optional(State::kPlanned) : std::nullopt;
  case Event::kAllDone:
    return State::kDone;
  case Event::kFailure:
    return State::kFailed;
  case Event::kCancel:
    return State::kCancelled;
  case Event::kResume:
    return std::nullopt;
  }
  return std::nullopt;
}

std::string describe(State from, Event event, Actor actor) {
  return std::string(state_name(from)) + ", event " + std::to_string(static_cast<int>(event)) +
         ", actor " + std::to_string(static_cast<int>(actor));
}

TEST(PullState, each_event_in_each_state_by_each_actor) {
  for (const State from : kPullStates)
    for (const Event event : kPullEvents)
      for (const Actor actor : kPullActors)
        EXPECT_EQ(next_state(from, event, actor), expected(from, event, actor))
            << describe(from, event, actor);
}

std::optional<State> next_or_none(Event event, Actor actor) {
  try {
    return state_after(event, actor);
  } catch (const Error &) {
    return std::nullopt;
  }
}

TEST(PullState, an_event_of_one_actor_leads_to_one_state) {
  for (const Event event : kPullEvents)
    for (const Actor actor : kPullActors) {
      std::set<State> reached;
      for (const State from : kPullStates)
        if (const auto to = next_state(from, event, actor))
          reached.insert(*to);
      EXPECT_LE(reached.size(), 1U);
      EXPECT_EQ(next_or_none(event, actor),
                reached.empty() ? std::nullopt : std::optional(*reached.begin()));
    }
}

TEST(PullState, nobody_writes_interrupted_and_nothing_leaves_done) {
  for (const State from : kPullStates)
    for (const Event event : kPullEvents)
      for (const Actor actor : kPullActors) {
        const std::optional<State> to = next_state(from, event, actor);
        EXPECT_NE(to, State::kInterrupted);
        EXPECT_FALSE(from == State::kDone && to.has_value());
      }
}

TEST(PullState, from_each_state_but_done_some_way_leads_to_done) {
  for (const State from : kPullStates) {
    std::set<State> reached{from};
    for (size_t before = 0; before != reached.size();) {
      before = reached.size();
      for (const State state : std::set<State>(reached))
        for (const Event event : kPullEvents)
          for (const Actor actor : kPullActors)
            if (const auto to = next_state(state, event, actor))
              reached.insert(*to);
    }
    EXPECT_TRUE(reached.contains(State::kDone)) << state_name(from);
  }
}

TEST(PullState, the_ledger_has_an_interrupted_pull_as_it_was_before) {
  EXPECT_EQ(source_states(Event::kCancel, Actor::kCaller),
            (std::vector<std::string>{"planned", "running", "paused"}));
  EXPECT_EQ(source_states(Event::kResume, Actor::kResume),
            (std::vector<std::string>{"failed", "cancelled", "planned", "running", "paused"}));
  EXPECT_EQ(source_states(Event::kGoOn, Actor::kCoordinator), (std::vector<std::string>{"paused"}));
  EXPECT_TRUE(source_states(Event::kResume, Actor::kCaller).empty());
}

TEST(PullState, names_go_there_and_back) {
  for (const State state : kPullStates)
    EXPECT_EQ(parse_pull_state(state_name(state)), state);
  EXPECT_THROW(static_cast<void>(parse_pull_state("resting")), Error);
}

TEST(PullState, three_states_are_ends) {
  for (const State state : kPullStates)
    EXPECT_EQ(has_ended(state),
              state == State::kDone || state == State::kFailed || state == State::kCancelled);
}

} // namespace
} // namespace parallel_loader
