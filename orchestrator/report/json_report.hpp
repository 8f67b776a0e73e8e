// json_report: a run as a JSON document; docs/json.md has its keys.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <string>

namespace parallel_loader {

enum class JsonDetail {
  kRun,    // of --json
  kChunks, // of --report FILE.json: the chunks of each table as well
};

/// The document of `copy` and `resume`, on one line without its end.
///
/// Of a run of one table, its first keys are those of version 0.3, with their types.
[[nodiscard]] std::string copy_document(const RunView &run, JsonDetail detail);

} // namespace parallel_loader
