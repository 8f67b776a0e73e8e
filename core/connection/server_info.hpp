// server_info: what a server is, as far as the form of its values depends on it.
#pragma once

#include "core/connection/executor.hpp"

#include <string>

namespace parallel_loader {

struct ServerInfo {
  int version = 0;      // for example 150020
  std::string encoding; // of the database, for example UTF8
};

/// Asks the server.
[[nodiscard]] ServerInfo server_info(Executor &server);

} // namespace parallel_loader
