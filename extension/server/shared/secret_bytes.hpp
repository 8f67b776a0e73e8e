// secret_bytes: bytes in shared memory that hold a password and are overwritten while others may
// still read them.
#pragma once

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "port/atomics.h"
}

namespace parallel_loader {

/// The last member of what it is part of.  To read them, see read_secret.hpp.
struct SecretBytes {
  pg_atomic_uint32 is_gone; // set before they are overwritten
  Size size;
  char bytes[FLEXIBLE_ARRAY_MEMBER];
};

/// Copies `size` bytes, for which there must be room.
void secret_bytes_init(SecretBytes *secret, const char *bytes, Size size);
void secret_bytes_wipe(SecretBytes *secret) noexcept;

} // namespace parallel_loader
