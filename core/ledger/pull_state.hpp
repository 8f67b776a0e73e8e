// pull_state: the states of a pull, and what leads from one to another.
#pragma once

#include "core/base/pure.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// The hint where a pull cannot go on.
inline constexpr const char *kBeginAnew = "Empty the table and pull it again.";

enum class PullState {
  kPlanned,     // recorded; no worker has come yet
  kRunning,     // a worker has come
  kPaused,      // by parallel_pull_alter
  kDone,        // every chunk is
  kFailed,      // by an error
  kCancelled,   // by somebody's wish
  kInterrupted, // its coordinator went without a word; the ledger has one of the first three
};

enum class PullEvent {
  kWorkerJoined,
  kPause,
  kGoOn,        // the pause is over
  kGoOnUnbegun, // likewise, of a pull that was planned only
  kAllDone,
  kFailure,
  kCancel,
  kResume,
};

/// Who may write the new state: the one who keeps all others from it by the pull's locks.
enum class PullActor {
  kCoordinator, // of the pull, which holds its lock
  kResume,      // a coordinator that is about to be the pull's: it holds both locks
  kCaller,      // a session that holds the lock for resumes of a pull without coordinator
};

struct Transition {
  PullState from;
  PullEvent event;
  PullActor actor;
  PullState to;
};

inline constexpr std::array kPullStates = {
    PullState::kPlanned, PullState::kRunning,   PullState::kPaused,     PullState::kDone,
    PullState::kFailed,  PullState::kCancelled, PullState::kInterrupted};
inline constexpr std::array kPullEvents = {
    PullEvent::kWorkerJoined, PullEvent::kPause,   PullEvent::kGoOn,   PullEvent::kGoOnUnbegun,
    PullEvent::kAllDone,      PullEvent::kFailure, PullEvent::kCancel, PullEvent::kResume};
inline constexpr std::array kPullActors = {PullActor::kCoordinator, PullActor::kResume,
                                           PullActor::kCaller};

/// The state after the event; nullopt when it cannot happen in `from`, or not by this actor.
[[nodiscard]] std::optional<PullState> next_state(PullState from, PullEvent event,
                                                  PullActor actor) noexcept;

/// The one state that the event leads to when this actor writes it.
[[nodiscard]] PullState state_after(PullEvent event, PullActor actor);

/// The names, as the ledger has them, of the states in which the actor may write the event.
[[nodiscard]] std::vector<std::string> source_states(PullEvent event, PullActor actor);

/// True for `done`, `failed` and `cancelled`.
[[nodiscard]] bool has_ended(PullState state) noexcept;

[[nodiscard]] std::string_view state_name(PullState state) noexcept;
/// Throws Error XX000 for what is no state.
[[nodiscard]] PullState parse_pull_state(std::string_view name);

} // namespace parallel_loader
