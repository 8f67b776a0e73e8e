// durable_source: see durable_source.hpp.
#include "core/durable_source.hpp"

#include "core/quote.hpp"

#include <algorithm>
#include <chrono>
#include <string>

namespace parallel_loader {
namespace {

// Manual, "Asynchronous Commit": the WAL writer has flushed a commit after three of its delays.
constexpr int64_t kWriterTurns = 4;
constexpr int64_t kPatienceMs = 2000; // for a disk that is slow
constexpr int64_t kLongestMs = 15000; // whatever the delay is set to
constexpr int64_t kTurnMs = 20;

// Functions may be withheld from a role.  A message would come to those who decode the database.
constexpr std::string_view kPossible = R"sql(
SELECT pg_catalog.pg_is_in_recovery(),
  pg_catalog.has_function_privilege('pg_catalog.pg_current_wal_insert_lsn()', 'EXECUTE')
    AND pg_catalog.has_function_privilege('pg_catalog.pg_current_wal_flush_lsn()', 'EXECUTE'),
  coalesce(pg_catalog.has_function_privilege(m.function, 'EXECUTE'), false)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS s
      WHERE s.slot_type OPERATOR(pg_catalog.=) 'logical'
        AND s.database OPERATOR(pg_catalog.=) pg_catalog.current_database()),
  pg_catalog.current_setting('server_version_num'),
  (SELECT s.setting FROM pg_catalog.pg_settings AS s
   WHERE s.name OPERATOR(pg_catalog.=) 'wal_writer_delay')
FROM (SELECT COALESCE(
  pg_catalog.to_regprocedure('pg_catalog.pg_logical_emit_message(boolean, pg_catalog.text, pg_catalog.text)'),
  pg_catalog.to_regprocedure('pg_catalog.pg_logical_emit_message(boolean, pg_catalog.text, pg_catalog.text, boolean)')
  )) AS m(function))sql";

constexpr std::string_view kSettings =
    "SELECT pg_catalog.set_config('synchronous_commit', 'local', true), "
    "pg_catalog.set_config('statement_timeout', '0', true)";

// A commit is flushed before it returns if its transaction has written anything; one that has
// nothing but an id is flushed by the WAL writer, as if it were asynchronous.
void commit_something(Executor &source, bool may_write, bool is_old) {
  source.exec("BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE");
  source.exec(kSettings);
  if (may_write)
    source.exec("SELECT pg_catalog.pg_logical_emit_message(true, 'parallel_loader', "
                "''::pg_catalog.text)");
  else
    source.exec(is_old ? "SELECT pg_catalog.txid_current()"
                       : "SELECT pg_catalog.pg_current_xact_id()");
  source.exec("COMMIT");
}

} // namespace

bool make_durable(Executor &source) {
  const Rows possible = source.exec(kPossible);
  if (possible.required_boolean(0, 0))
    return true; // a standby has nothing but flushed WAL
  const bool may_look = possible.required_boolean(0, 1);
  const bool may_write = possible.required_boolean(0, 2);
  const std::string lsn =
      may_look ? source.exec("SELECT pg_catalog.pg_current_wal_insert_lsn()").required_text(0, 0)
               : std::string();
  commit_something(source, may_write, possible.required_integer(0, 3) < 130000);
  if (!may_look)
    return may_write;
  const std::string is_flushed = "SELECT pg_catalog.pg_current_wal_flush_lsn() "
                                 "OPERATOR(pg_catalog.>=) " +
                                 quote_literal(lsn) + "::pg_catalog.pg_lsn";
  const int64_t longest_ms = std::min(
      kWriterTurns * possible.required_integer(0, 4, 0, kLongestMs) + kPatienceMs, kLongestMs);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(longest_ms);
  for (int64_t turns = longest_ms / kTurnMs; turns >= 0; turns--) {
    if (source.exec(is_flushed).required_boolean(0, 0))
      return true;
    if (std::chrono::steady_clock::now() >= end) // each turn takes as long as the source likes
      break;
    static_cast<void>(source.exec("SELECT pg_catalog.pg_sleep(0.02)"));
  }
  return false;
}

} // namespace parallel_loader
