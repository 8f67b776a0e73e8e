// pull_need: what a pull that is to be finished needs.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace parallel_loader {

enum class PullNeed {
  kNothing, // it is done
  kJoin,    // its coordinator lives: sessions join it
  kResume,  // its snapshot lives, or all chunks are done and it needs none
  kRenew,   // it has no snapshot, and nothing of it is done: it goes into its run, if that lives
  kAnew,    // it never had a plan: nothing of it is to be resumed
  kChoice,  // its snapshot is lost, and a part of it is done
};

[[nodiscard]] PullNeed need_of(const PullView &pull) noexcept;

/// Whether the rest of it can be read under a new snapshot: places of rows mean nothing there.
[[nodiscard]] bool has_key_ranges(const PullView &pull) noexcept;

/// `resume ID --restart`, with the source as the destination reaches it, but for a password, which
/// the ledger does not have.
[[nodiscard]] std::string restart_words(const PullView &pull, const std::string &id);

/// Both are for the same rows and columns of the same source.  Of the bounds of parallel_pull it is
/// not known here what they are.
[[nodiscard]] bool has_same_rows(const PullView &pull, const PullView &other);

/// In the order of their ids.
using PullList = std::vector<const PullView *>;

/// By the id of a pull, that of another one.
using OtherPulls = std::map<int64_t, int64_t>;

/// Of pulls that ended before they were done, the last one of `pulls` that is to load the same rows
/// from the same source into the same table: nothing is left to be resumed.
[[nodiscard]] OtherPulls find_successors(const PullList &pulls);

/// Of the others that ended before they were done, one of another run that has loaded rows into
/// their table since: theirs are gone, or could be there already.
[[nodiscard]] OtherPulls find_later_loaders(const PullList &pulls);

} // namespace parallel_loader
