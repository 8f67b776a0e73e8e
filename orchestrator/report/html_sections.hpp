// html_sections: the parts of a report's page; each is empty when there is nothing to say.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <string>

namespace parallel_loader {

[[nodiscard]] std::string failure_section(const RunView &run);
[[nodiscard]] std::string slowest_section(const RunView &run);
[[nodiscard]] std::string table_section(const RunView &run);
[[nodiscard]] std::string retry_section(const RunView &run);
[[nodiscard]] std::string verify_section(const RunView &run);
[[nodiscard]] std::string setting_section(const RunView &run);

} // namespace parallel_loader
