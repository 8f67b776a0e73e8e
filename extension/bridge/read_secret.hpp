// read_secret: requests and addresses in shared memory, which may be overwritten meanwhile.
#pragma once

#include "core/base/error.hpp"

#include <optional>
#include <string_view>
#include <type_traits>

#include "extension/server/shared/secret_bytes.hpp"

namespace parallel_loader {

/// What `parse` makes of the bytes; nothing once they have been overwritten, in part or whole: whom
/// they belong to has left, or never came.  Throws what `parse` throws of bytes that are whole.
template <class Parse>
[[nodiscard]] std::optional<std::invoke_result_t<Parse, std::string_view>>
read_secret(SecretBytes &secret, Parse parse) {
  const auto is_gone = [&] { // asked after they were read
    pg_read_barrier();
    return pg_atomic_read_u32(&secret.is_gone) != 0;
  };
  try {
    auto value = parse(std::string_view(secret.bytes, secret.size));
    if (is_gone())
      return std::nullopt;
    return value;
  } catch (const Error &) {
    if (is_gone())
      return std::nullopt;
    throw;
  }
}

} // namespace parallel_loader
