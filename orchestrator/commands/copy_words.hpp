// copy_words: a command that copies one table, as words behind the program's name.
#pragma once

#include "orchestrator/run/mover.hpp"

#include <string>

namespace parallel_loader {

/// With what the task says of columns, key, rows, chunks and format; without its snapshot, which
/// may be gone by then.
[[nodiscard]] std::string copy_words(const TableTask &task);

} // namespace parallel_loader
