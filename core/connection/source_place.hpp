// source_place: one server of those that a conninfo may name, and how to dial exactly that one.
#pragma once

#include "core/connection/conninfo.hpp"

#include <string>
#include <vector>

namespace parallel_loader {

/// Where a session is, as libpq tells it (PQhost, PQhostaddr, PQport).
struct SourcePlace {
  std::string host;     // a name, an address, or the directory of a socket
  std::string hostaddr; // empty for a socket
  std::string port;     // empty: the place is not known

  [[nodiscard]] bool is_known() const noexcept { return !port.empty(); }
  friend bool operator==(const SourcePlace &, const SourcePlace &) = default;
};

/// `conninfo` for this one of its servers: the host stays for certificates and password files, the
/// address says which of a name's servers it is, and whatever that server is now, it is dialled.
[[nodiscard]] ConnInfo conninfo_at(const ConnInfo &conninfo, const SourcePlace &place);

/// The conninfos to try for what is at `wanted`: that place alone if `conninfo` names it, else
/// every server that it names, each address of a name by itself.  Where the servers cannot be told
/// apart (one alone, or a service file) it is `conninfo` as it is.
[[nodiscard]] std::vector<ConnInfo> conninfos_for(const ConnInfo &conninfo,
                                                  const SourcePlace &wanted);

} // namespace parallel_loader
