// durable_source: makes sure that a crash of the source cannot take back what has ended there.
#pragma once

#include "core/connection/executor.hpp"

#include <string_view>

namespace parallel_loader {

/// A crash loses the transactions whose records were not flushed (synchronous_commit = off, or
/// aborted), and gives their ids to others after it: rows of these would lie below the mark of an
/// append, and never be taken.
///
/// Has the source flush all that has ended there up to now.  Its session is in no transaction, and
/// gets some of its own, in which no time limit of the role holds.  A commit does it at once; where
/// the role may not write a record for it, or somebody decodes what is written, the WAL writer is
/// waited for, which needs some wal_writer_delay.
/// Returns false when it could not be seen to be flushed.  Throws as Executor does.
[[nodiscard]] bool make_durable(Executor &source);

/// The function that it writes the record with, as GRANT names it.
[[nodiscard]] std::string_view durability_function(int source_version) noexcept;

} // namespace parallel_loader
