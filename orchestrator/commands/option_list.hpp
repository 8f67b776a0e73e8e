// option_list: the options of a run, for its report.
#pragma once

#include "orchestrator/cli/options.hpp"

#include <string>
#include <utility>
#include <vector>

namespace parallel_loader {

/// Name and value of what was asked for that the report does not have anyway; no connections.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> option_list(const Options &options);

} // namespace parallel_loader
