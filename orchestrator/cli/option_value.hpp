// option_value: reads the values of options that are more than text.
#pragma once

#include "orchestrator/cli/options.hpp"

#include <string_view>

namespace parallel_loader {

// Each stores `value` and throws Failure kUsage, with the values that are allowed in its hint, when
// it cannot be read.

void apply_columns(CopyOptions &options, std::string_view value);
void apply_jobs(CopyOptions &options, std::string_view value);
void apply_chunk_size(CopyOptions &options, std::string_view value);
void apply_format(CopyOptions &options, std::string_view value);
void apply_progress(CopyOptions &options, std::string_view value);
void apply_color(CopyOptions &options, std::string_view value);
void apply_report_every(CopyOptions &options, std::string_view value);

} // namespace parallel_loader
