// usage_error: what is wrong with a command line, in the words of this program.
#pragma once

#include "orchestrator/base/failure.hpp"

#include <span>
#include <string>

namespace CLI {
class App;
class ParseError;
} // namespace CLI

namespace parallel_loader {

/// `app` as it was when parsing `arguments` ended with `error`.
[[nodiscard]] Failure usage_error(const CLI::ParseError &error, const CLI::App &app,
                                  std::span<const std::string> arguments);

} // namespace parallel_loader
