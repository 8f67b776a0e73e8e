// option_table: every option of `copy`, defined once for the parser, the help and docs/cli.md.
#pragma once

#include "orchestrator/cli/options.hpp"

#include <span>
#include <string_view>

namespace parallel_loader {

struct OptionSpec {
  std::string_view group;
  char letter; // 0: has none
  std::string_view name;
  std::string_view value; // what stands for its value in the help; empty for a flag
  std::string_view summary;
  std::string_view fallback;    // what holds without it; empty: nothing
  std::string_view environment; // variable that is read without it; empty: none
  /// Stores `value`, which is empty for a flag.  Throws Failure kUsage.
  void (*apply)(CopyOptions &options, std::string_view value);
};

/// Grouped, in the order of the help.
[[nodiscard]] std::span<const OptionSpec> copy_option_table() noexcept;

} // namespace parallel_loader
