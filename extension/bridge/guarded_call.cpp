#include "core/base/secret.hpp"
#include "core/connection/conninfo.hpp"

#include <cstring>

#include "extension/bridge/guarded_call.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/server/base/hidden_statement.hpp"
#include "extension/server/base/restricted_operation.hpp"
#include "extension/server/sql/arguments.hpp"

namespace parallel_loader {

// A text that cannot be read may have a password anywhere: `pasword=secret`.
bool may_hold_password(std::string_view src_dsn) {
  for (const std::string_view sign : {"password", "secret", "scram", "://"})
    if (src_dsn.find(sign) != std::string_view::npos)
      return true;
  try {
    if (is_conninfo(src_dsn))
      static_cast<void>(ConnInfo::parse(src_dsn));
  } catch (const Error &) {
    return true;
  }
  return false;
}

void guard_call(FunctionCallInfo fcinfo, int source_argument) {
  if (source_argument != kNoSource) {
    char *src_dsn = call([&]() noexcept { return argument_text(fcinfo, source_argument); });
    if (src_dsn != nullptr && may_hold_password(src_dsn)) {
      wipe(src_dsn, std::strlen(src_dsn));
      call([]() noexcept { hidden_statement_hide(); });
      hidden_statement_mask_context();
    }
  }
  call([]() noexcept { restricted_operation_refuse(); });
}

} // namespace parallel_loader
