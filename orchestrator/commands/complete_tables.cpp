#include "orchestrator/commands/complete_tables.hpp"

#include "core/connection/connection.hpp"
#include "core/connection/poll_waiter.hpp"
#include "orchestrator/base/output.hpp"
#include "orchestrator/cli/options.hpp"

#include <csignal>
#include <unistd.h>

namespace parallel_loader {

namespace {

/// Those that the search path finds go without their schema, and with it once it is typed.
constexpr std::string_view kTables =
    "SELECT t.name FROM pg_catalog.pg_class AS c "
    "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
    "CROSS JOIN LATERAL (VALUES "
    "(pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.'::text "
    "OPERATOR(pg_catalog.||) pg_catalog.quote_ident(c.relname), "
    "NOT pg_catalog.pg_table_is_visible(c.oid) "
    "OR pg_catalog.strpos($1::text, '.'::text) OPERATOR(pg_catalog.>) 0), "
    "(pg_catalog.quote_ident(c.relname), pg_catalog.pg_table_is_visible(c.oid))) "
    "AS t(name, is_offered) "
    "WHERE c.relkind IN ('r'::\"char\", 'p'::\"char\") AND NOT c.relispartition "
    "AND n.nspname OPERATOR(pg_catalog.!~) '^(pg_|information_schema$)'::text "
    "AND t.is_offered AND pg_catalog.starts_with(t.name, $1::text) ORDER BY 1 LIMIT 1000";

/// Whoever presses the key waits for it.
void end_within_a_second() {
  std::signal(SIGALRM, [](int) { ::_exit(0); });
  ::alarm(1);
}

} // namespace

ExitStatus complete_tables(std::span<const std::string> arguments) {
  if (arguments.empty())
    return ExitStatus::kDone;
  end_within_a_second();
  std::string text;
  try {
    const std::string source = source_given(arguments.subspan(1));
    if (source.empty())
      return ExitStatus::kDone;
    PollWaiter waiter;
    Connection connection =
        Connection::open(ConnInfo::parse(source), "parallel-loader", Server::kSource, waiter);
    const Rows tables = connection.exec(kTables, {arguments.front()});
    for (size_t row = 0; row < tables.size(); ++row)
      if (const std::string name = tables.text(row, 0); name.find('\n') == std::string::npos)
        text += name + '\n';
  } catch (const Error &) {
    return ExitStatus::kDone; // nothing to offer
  }
  return write_result(text, ExitStatus::kDone);
}

} // namespace parallel_loader
