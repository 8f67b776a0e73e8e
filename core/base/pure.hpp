// pure: refuses to compile when a server header has leaked into the pure C++ zone.
#pragma once

#ifdef POSTGRES_H
#error                                                                                             \
    "core/ headers come before extension/server/base/postgres.hpp: postgres.h redefines names of the C++ library"
#endif
