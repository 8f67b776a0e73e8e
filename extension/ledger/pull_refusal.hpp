// pull_refusal: why a command cannot be had of a pull in its state, and what can be done instead.
#pragma once

#include "core/base/error.hpp"

#include <string>
#include <string_view>

#include "extension/ledger/pull_lookup.hpp"

namespace parallel_loader {

/// Throws Error 42P01 if the pull's local table was dropped.
void require_table(const FoundPull &found);

/// `function(7)`, `function(7, rest)`.
[[nodiscard]] std::string call_text(const char *function, int64_t pull_id,
                                    const std::string &rest = {});

/// The call by which a pull that waits or runs goes on or ends.
[[nodiscard]] std::string live_hint(const FoundPull &found, const SharedPull *pull);
/// The call that resumes a pull with done chunks, whose snapshot is held, or lost and needed; empty
/// where that cannot be.
[[nodiscard]] std::string resume_call(int64_t pull_id, std::string_view key, bool is_held);
/// How to get the rest of a pull that has no coordinator at work, in a sentence.
[[nodiscard]] std::string resume_hint(const FoundPull &found);

/// Throws Error 55006 for a pull that runs, 55000 for an append, or one without a plan.
void require_resumable(const FoundPull &found);
/// Throws Error 55000 unless the pull has a coordinator that workers can join.
void require_joinable(const FoundPull &found);

/// 55000: the pull's table was changed, as `change` says, after rows went into it.
[[nodiscard]] Error changed_while_running(const FoundPull &found, const std::string &change);

/// 55006: another session resumes the pull, or has changed it and not committed yet.
[[nodiscard]] Error being_changed(int64_t pull_id);

} // namespace parallel_loader
