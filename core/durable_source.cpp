// durable_source: see durable_source.hpp.
#include "core/durable_source.hpp"

#include "core/quote.hpp"

namespace parallel_loader {
namespace {

// Manual, "Asynchronous Commit": the WAL writer has flushed a commit after three of its delays.
constexpr int64_t kWriterTurns = 4;
constexpr int64_t kPatienceMs = 2000; // for a disk that is slow

} // namespace

DurableSource::DurableSource(Executor &source) : source_(source) {
  if (source.exec("SELECT pg_catalog.pg_is_in_recovery()").boolean(0, 0))
    return;
  const Rows row = source.exec("SELECT pg_catalog.pg_current_wal_insert_lsn(), s.setting "
                               "FROM pg_catalog.pg_settings AS s WHERE s.name = "
                               "'wal_writer_delay'");
  lsn_ = row.text(0, 0);
  longest_ms_ = kWriterTurns * row.integer(0, 1) + kPatienceMs;
}

bool DurableSource::may_look(Executor &source) {
  return source
      .exec("SELECT pg_catalog.bool_and(pg_catalog.has_function_privilege(f, 'EXECUTE')) "
            "FROM pg_catalog.unnest(ARRAY['pg_catalog.pg_current_wal_insert_lsn()', "
            "'pg_catalog.pg_current_wal_flush_lsn()']) AS f")
      .boolean(0, 0);
}

void DurableSource::await() {
  constexpr int64_t kTurnMs = 50;
  for (int64_t waited_ms = 0; !is_flushed() && waited_ms < longest_ms_; waited_ms += kTurnMs)
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
