#include "extension/server/shared/secret_bytes.hpp"

namespace parallel_loader {

void secret_bytes_init(SecretBytes *secret, const char *bytes, Size size) {
  pg_atomic_init_u32(&secret->is_gone, 0);
  secret->size = size;
  memcpy(secret->bytes, bytes, size);
}

void secret_bytes_wipe(SecretBytes *secret) noexcept {
  pg_atomic_write_u32(&secret->is_gone, 1);
  pg_write_barrier();
  explicit_bzero(secret->bytes, secret->size);
}

} // namespace parallel_loader
