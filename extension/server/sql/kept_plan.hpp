// kept_plan: plans of the statements that a process runs again and again.
#pragma once

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace parallel_loader {

/// The plan of the statement, all of whose parameters are text.  It is made anew after some
/// seconds: a ledger that was empty then may be big by now.  Needs SPI_connect(); not for
/// statements that run themselves again.  Raises what planning raises.
SPIPlanPtr kept_plan(const char *sql, int param_count);

} // namespace parallel_loader
