// old_holder: the session of the source that holds a snapshot of version 0.3, which took no lock
// that proves it (see HeldSnapshot).
#pragma once

#include "core/connection/executor.hpp"
#include "core/source/source_session.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace parallel_loader {

struct OldHolder {
  int pid = 0; // 0: there is none
  std::string transaction;
};

/// The virtual transaction, as pg_locks shows it, of whoever exported a snapshot under this name;
/// empty when the name is none that a server gives.
[[nodiscard]] std::string exporting_transaction(std::string_view snapshot);

/// Looks for the session whose snapshot `source` has imported just before.  That a living
/// coordinator of the pull has it follows from three things together: the name tells the virtual
/// transaction, which no other session of the server has; the session bears the name of that
/// pull's coordinator; and the snapshot has the bounds that the pull recorded.  Throws SnapshotGone
/// where one of them is missing.
[[nodiscard]] OldHolder find_old_holder(SourceSession &source, const std::string &snapshot,
                                        const SnapshotBounds &recorded, int64_t pull_id);

/// True once that session has ended the transaction.
[[nodiscard]] bool has_left(Executor &source, const OldHolder &holder);

} // namespace parallel_loader
