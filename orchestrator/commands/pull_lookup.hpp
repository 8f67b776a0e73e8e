// pull_lookup: the pulls that an ID on the command line means.
#pragma once

#include "orchestrator/run/mover.hpp"

#include <string>
#include <vector>

namespace parallel_loader {

/// Of a run all its pulls, else the one pull of that id.  Throws Failure kUsage for what is no id,
/// Error 42704 where there is none.
[[nodiscard]] std::vector<PullView> find_pulls(Mover &mover, const std::string &id);

} // namespace parallel_loader
