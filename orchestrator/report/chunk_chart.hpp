// chunk_chart: which worker has moved which chunk when, as a drawing in a page.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <string>

namespace parallel_loader {

/// Empty when it is not known of any chunk when it began and who moved it.
[[nodiscard]] std::string chunk_chart(const RunView &run);

} // namespace parallel_loader
