// progress_json: a run under way as a line of JSON.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <string>

namespace parallel_loader {

/// What `--json-progress` writes each second, on one line without its end.
/// docs/json.md has its keys.
[[nodiscard]] std::string progress_document(const RunView &run, WallTime now);

} // namespace parallel_loader
