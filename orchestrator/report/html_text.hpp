// html_text: text in a page, where names of tables may be anything.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace parallel_loader {

/// What HTML would read is escaped, in text and in attributes alike; control characters and bytes
/// that are no UTF-8 become `?`, but for ends of lines.
[[nodiscard]] std::string html_text(std::string_view text);

/// A name on one line, apart from the direction of what is around it.
[[nodiscard]] std::string html_name(std::string_view name);

/// The table of the source, and that of the destination where it has another name.
[[nodiscard]] std::string html_label(const PullView &pull);

/// `1 234 567`, which stays on one line.
[[nodiscard]] std::string html_count(int64_t count);

} // namespace parallel_loader
