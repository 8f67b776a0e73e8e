// wait_info: what a process of this server waits for.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

struct WaitInfo {
  bool is_for_socket; // for bytes of the source
  char text[256];     // `worker 123 waits for Lock: relation, blocked by 45`; empty: for nothing
};

WaitInfo wait_info_of(int pid);

} // namespace parallel_loader
