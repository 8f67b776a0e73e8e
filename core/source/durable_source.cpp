#include "core/source/durable_source.hpp"

#include "core/base/quote.hpp"

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

// For the transaction only, as poolers give the session to others.
constexpr std::string_view kNoLimit = "SET LOCAL statement_timeout = 0"; // quicker than a query
constexpr std::string_view kSettings = R"sql(
SELECT CASE WHEN pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL -- from 17
    THEN pg_catalog.set_config('transaction_timeout', '0', true) END,
  pg_catalog.set_config('idle_in_transaction_session_timeout', '0', true),
  pg_catalog.set_config('lock_timeout', '3s', true),
  pg_catalog.set_config('client_min_messages', 'error', true),
  pg_catalog.set_config('jit', 'off', true),
  pg_catalog.set_config('synchronous_commit', 'local', true))sql";

// Settings of the role or the database must not hold: a time limit would end the wait, and a
// serializable transaction may wait itself, for others.  READ COMMITTED: no snapshot is held
// between statements, none is waited for.
template <class Fn> auto in_transaction(Executor &source, std::string_view access, Fn fn) {
  source.exec("BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED, " + std::string(access) +
              ", NOT DEFERRABLE");
  source.exec(kNoLimit);
  source.exec(kSettings);
  auto result = fn();
  source.exec("COMMIT");
  return result;
}

struct Possible {
  bool is_standby = false;
  bool may_look = false;
  bool may_write = false;
  bool is_old = false;    // before 13
  int64_t longest_ms = 0; // where it may look
  std::string lsn;        // likewise: up to which all has to be flushed
};

Possible find_possible(Executor &source) {
  const Rows row = source.exec(kPossible);
  Possible possible{.is_standby = row.required_boolean(0, 0),
                    .may_look = row.required_boolean(0, 1),
                    .may_write = row.required_boolean(0, 2),
                    .is_old = row.required_integer(0, 3) < 130000,
                    .longest_ms = 0,
                    .lsn = {}};
  if (possible.is_standby || !possible.may_look)
    return possible;
  possible.longest_ms =
      std::min(kWriterTurns * row.required_integer(0, 4, 0, kLongestMs) + kPatienceMs, kLongestMs);
  possible.lsn = source.exec("SELECT pg_catalog.pg_current_wal_insert_lsn()").required_text(0, 0);
  return possible;
}

// A commit is flushed before it returns if its transaction has written anything; one that has
// nothing but an id is flushed by the WAL writer, as if it were asynchronous.
void commit_something(Executor &source, const Possible &possible) {
  constexpr std::string_view kMessage = "SELECT pg_catalog.pg_logical_emit_message(true, "
                                        "'parallel_loader', ''::pg_catalog.text)";
  const std::string_view id = possible.is_old ? "SELECT pg_catalog.txid_current()"
                                              : "SELECT pg_catalog.pg_current_xact_id()";
  in_transaction(source, "READ WRITE",
                 [&] { return source.exec(possible.may_write ? kMessage : id); });
}

bool wait_until_flushed(Executor &source, const Possible &possible) {
  const std::string is_flushed = "SELECT pg_catalog.pg_current_wal_flush_lsn() "
                                 "OPERATOR(pg_catalog.>=) " +
                                 quote_literal(possible.lsn) + "::pg_catalog.pg_lsn";
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(possible.longest_ms);
  for (int64_t turns = possible.longest_ms / kTurnMs; turns >= 0; turns--) {
    if (source.exec(is_flushed).required_boolean(0, 0))
      return true;
    if (std::chrono::steady_clock::now() >= end) // each turn takes as long as the source likes
      break;
    static_cast<void>(source.exec("SELECT pg_catalog.pg_sleep(0.02)"));
  }
  return false;
}

} // namespace

std::string_view durability_function(int source_version) noexcept {
  return source_version >= 170000 ? "pg_logical_emit_message(boolean, text, text, boolean)"
                                  : "pg_logical_emit_message(boolean, text, text)";
}

bool make_durable(Executor &source) {
  const Possible possible =
      in_transaction(source, "READ ONLY", [&] { return find_possible(source); });
  if (possible.is_standby)
    return true; // it has nothing but flushed WAL
  commit_something(source, possible);
  if (!possible.may_look)
    return possible.may_write;
  return in_transaction(source, "READ ONLY", [&] { return wait_until_flushed(source, possible); });
}

} // namespace parallel_loader
