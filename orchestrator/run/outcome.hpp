// outcome: decides what a run came to, from the ledger's word and the sessions' failures.
#pragma once

#include "orchestrator/base/failure.hpp"
#include "orchestrator/run/destination.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace parallel_loader {

/// What a run that a signal ended came to.
[[nodiscard]] Failure interrupted_failure();

enum class Asked { kNothing, kToStop };

/// Returns why the pull is not done; nullopt when the ledger says it is, whatever sessions met on
/// the way.  `asked`: whether the user interrupted it.
///
/// Of several failures it is the one that the ledger names, else the first.  A server that was lost
/// when rows had come already makes a failed copy, not an unreachable server.
[[nodiscard]] std::optional<Failure> judge_pull(int64_t pull_id, const PullStatus &pull,
                                                std::span<const Failure> failures, Asked asked);

} // namespace parallel_loader
