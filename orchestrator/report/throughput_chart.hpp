// throughput_chart: the bytes that came each moment of a run, as a drawing in a page.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <string>

namespace parallel_loader {

/// Empty when there are too few samples for a curve.
[[nodiscard]] std::string throughput_chart(const RunView &run);

} // namespace parallel_loader
