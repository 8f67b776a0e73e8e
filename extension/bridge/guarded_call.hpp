// guarded_call: what the SQL functions that have to do with a source or a pull do first.
#pragma once

#include <string_view>

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "fmgr.h"
}

namespace parallel_loader {

inline constexpr int kNoSource = -1;

/// First of all in each function that dials a source, that starts, joins, waits for or changes a
/// pull, or that changes what pulls go by.  `source_argument` is where src_dsn stands, which is
/// hidden from view if it may hold a password, before anything can fail: an error shows the
/// statement.
/// Raises PgError 42501 within a security-restricted operation (restricted_operation.hpp).
void guard_call(FunctionCallInfo fcinfo, int source_argument = kNoSource);

/// True if a source that is given as this text may hold a password.
[[nodiscard]] bool may_hold_password(std::string_view src_dsn);

} // namespace parallel_loader
