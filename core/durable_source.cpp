// durable_source: see durable_source.hpp.
#include "core/durable_source.hpp"

#include "core/quote.hpp"

namespace parallel_loader {

DurableSource::DurableSource(Executor &source) : source_(source) {
  if (!source.exec("SELECT pg_catalog.pg_is_in_recovery()").boolean(0, 0))
    lsn_ = source.exec("SELECT pg_catalog.pg_current_wal_insert_lsn()").text(0, 0);
}

void DurableSource::await() {
  constexpr int kTurnsPerSecond = 20;
  constexpr int kLongestWaitSeconds = 31;
  for (int turn = 0; !is_flushed() && turn < kLongestWaitSeconds * kTurnsPerSecond; ++turn)
    static_cast<void>(source_.exec("SELECT pg_catalog.pg_sleep(0.05)"));
}

bool DurableSource::is_flushed() {
  if (lsn_.empty())
    return true;
  const std::string sql = "SELECT pg_catalog.pg_current_wal_flush_lsn() >= " + quote_literal(lsn_) +
                          "::pg_catalog.pg_lsn";
  return source_.exec(sql).boolean(0, 0);
}

} // namespace parallel_loader
