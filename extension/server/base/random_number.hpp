// random_number: numbers that nobody can foresee.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// 64 random bits, not all of them 0.  Raises XX000 when the system has none to give.
int64 random_number();

} // namespace parallel_loader
