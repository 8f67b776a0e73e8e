// copy_words: commands that load one table, as words behind the program's name.
#pragma once

#include "orchestrator/run/mover.hpp"

#include <string>

namespace parallel_loader {

/// With what the task says of columns, key, rows, chunks and format; without its snapshot, which
/// may be gone by then.
[[nodiscard]] std::string copy_words(const TableTask &task);
/// The append that goes on after one has failed.
[[nodiscard]] std::string append_words(const TableTask &task);

} // namespace parallel_loader
