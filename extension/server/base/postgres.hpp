// postgres: the one place that includes postgres.h, undoing the macros that break the C++ library.
#pragma once

extern "C" {
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
}

// port.h redirects the printf family by macro, which turns std::snprintf into std::pg_snprintf.
#undef fprintf
#undef printf
#undef snprintf
#undef sprintf
#undef strerror
#undef strerror_r
#undef vfprintf
#undef vprintf
#undef vsnprintf
#undef vsprintf
