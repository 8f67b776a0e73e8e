// durable_source: waits until a crash of the source can no longer take back what has ended there.
#pragma once

#include "core/executor.hpp"

#include <cstdint>
#include <string>

namespace parallel_loader {

/// Transactions that have ended by the construction.  A crash loses those whose records were not
/// flushed (synchronous_commit = off, or aborted), and gives their ids to others after it: rows of
/// these would lie below the mark of an append, and never be taken.
class DurableSource {
public:
  explicit DurableSource(Executor &source);

  /// False for a role that may not look at the source's WAL; the constructor would then fail.
  [[nodiscard]] static bool may_look(Executor &source);

  /// Waits until they are flushed, which the WAL writer sees to within some wal_writer_delay; what
  /// is not flushed by then belongs to transactions that are still open.
  void await();

private:
  [[nodiscard]] bool is_flushed();

  Executor &source_;
  int64_t longest_ms_ = 0;
  std::string lsn_; // empty on a standby, which has nothing but flushed WAL
};

} // namespace parallel_loader
