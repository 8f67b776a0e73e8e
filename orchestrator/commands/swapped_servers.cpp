#include "orchestrator/commands/swapped_servers.hpp"

#include "core/connection/connection.hpp"

namespace parallel_loader {

Failure explain_swapped(const Failure &failure, const Connections &connections, Waiter &waiter) {
  if (failure.sqlstate() != sqlstate::kUndefinedObject || connections.source.empty())
    return failure;
  try {
    Connection source = Connection::open(ConnInfo::parse(connections.source), "parallel-loader",
                                         Server::kSource, waiter);
    if (source
            .exec("SELECT 1 FROM pg_catalog.pg_extension "
                  "WHERE extname OPERATOR(pg_catalog.=) 'parallel_loader'::pg_catalog.name")
            .empty())
      return failure;
  } catch (const Error &) {
    return failure; // that is all that is known
  }
  return {failure.status(),
          Error(failure.sqlstate(), failure.message(), "The source database has it.",
                "If --source and --target are the wrong way round, exchange them. Otherwise run on "
                "the destination: CREATE EXTENSION parallel_loader CASCADE;")};
}

} // namespace parallel_loader
