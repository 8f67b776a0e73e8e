#include "core/connection/server_info.hpp"

namespace parallel_loader {

ServerInfo server_info(Executor &server) {
  constexpr int kHighestVersion = 10000000;
  const Rows row = server.exec("SELECT pg_catalog.current_setting('server_version_num'), "
                               "pg_catalog.current_setting('server_encoding')");
  return {.version = static_cast<int>(row.required_integer(0, 0, 1, kHighestVersion)),
          .encoding = row.required_text(0, 1)};
}

} // namespace parallel_loader
