// manual: docs/cli.md and the page of man, made from the definition of the command line.
#pragma once

#include <string>

namespace parallel_loader {

/// docs/cli.md.
[[nodiscard]] std::string manual_markdown();
/// parallel-loader(1), in the macros of man(7).
[[nodiscard]] std::string manual_page();

} // namespace parallel_loader
