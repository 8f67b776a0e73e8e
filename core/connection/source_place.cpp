#include "core/connection/source_place.hpp"

#include <algorithm>
#include <memory>
#include <string_view>

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <sys/socket.h>

namespace parallel_loader {
namespace {

struct AddressesDeleter {
  void operator()(addrinfo *addresses) const noexcept { freeaddrinfo(addresses); }
};
using AddressesPtr = std::unique_ptr<addrinfo, AddressesDeleter>;

struct DefaultsDeleter {
  void operator()(PQconninfoOption *options) const noexcept { PQconninfoFree(options); }
};

// An address that means something only with an interface, which libpq does not tell.
bool is_link_local(std::string_view address) {
  return address.size() > 4 && (address.starts_with("fe80") || address.starts_with("FE80"));
}

bool is_socket_directory(std::string_view host) {
  return host.empty() || host.front() == '/' || host.front() == '@';
}

std::vector<std::string> split(std::string_view list) {
  if (list.empty())
    return {};
  std::vector<std::string> parts;
  for (size_t comma = list.find(','); comma != std::string_view::npos; comma = list.find(',')) {
    parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(comma + 1);
  }
  parts.emplace_back(list);
  return parts;
}

// What libpq takes where a conninfo says nothing: the environment's, or its own.
std::string default_value(std::string_view keyword) {
  const std::unique_ptr<PQconninfoOption, DefaultsDeleter> options(PQconndefaults());
  if (options)
    for (const PQconninfoOption *option = options.get(); option->keyword != nullptr; ++option)
      if (keyword == option->keyword && option->val != nullptr)
        return option->val;
  return {};
}

std::string value_of(const ConnInfo &conninfo, std::string_view keyword) {
  const std::string_view given = conninfo.get(keyword);
  return given.empty() ? default_value(keyword) : std::string(given);
}

// As PQconnectStart pairs them: one port for all, or one for each.
std::vector<SourcePlace> named_places(const ConnInfo &conninfo) {
  const std::vector<std::string> hosts = split(value_of(conninfo, "host"));
  const std::vector<std::string> addresses = split(value_of(conninfo, "hostaddr"));
  const std::vector<std::string> ports = split(value_of(conninfo, "port"));
  const auto nth = [](const std::vector<std::string> &list, size_t index) {
    return index < list.size() ? list[index] : std::string();
  };
  std::vector<SourcePlace> places;
  for (size_t index = 0; index < std::max(hosts.size(), addresses.size()); ++index) {
    std::string port = ports.size() == 1 ? ports.front() : nth(ports, index);
    if (port.empty())
      port = "5432";
    places.push_back({nth(hosts, index), nth(addresses, index), std::move(port)});
  }
  return places;
}

// A name that cannot be looked up is left to libpq, which says so.
std::vector<SourcePlace> look_up(const SourcePlace &place) {
  if (is_socket_directory(place.host) || !place.hostaddr.empty())
    return {place};
  addrinfo hint = {};
  hint.ai_socktype = SOCK_STREAM;
  addrinfo *found = nullptr;
  if (getaddrinfo(place.host.c_str(), nullptr, &hint, &found) != 0)
    return {place};
  const AddressesPtr addresses(found);
  std::vector<SourcePlace> places;
  for (const addrinfo *address = found; address != nullptr; address = address->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(address->ai_addr, address->ai_addrlen, text, sizeof(text), nullptr, 0,
                    NI_NUMERICHOST) == 0)
      places.push_back({place.host, text, place.port});
  }
  return places.empty() ? std::vector<SourcePlace>{place} : places;
}

// A name may have other addresses by now, or more of them.
bool may_be(const SourcePlace &named, const SourcePlace &wanted) {
  const std::string &shown = named.host.empty() ? named.hostaddr : named.host;
  return shown == wanted.host && named.port == wanted.port &&
         (named.hostaddr.empty() || named.hostaddr == wanted.hostaddr);
}

} // namespace

ConnInfo conninfo_at(const ConnInfo &conninfo, const SourcePlace &place) {
  ConnInfo one = conninfo;
  // PQhost tells the address where no name was given; a name would then be checked against it.
  const bool has_name = place.host != place.hostaddr || !value_of(conninfo, "host").empty();
  one.erase("host");
  one.erase("hostaddr");
  one.erase("load_balance_hosts");
  if (has_name || is_link_local(place.hostaddr))
    one.set("host", place.host);
  if (!place.hostaddr.empty() && !is_link_local(place.hostaddr))
    one.set("hostaddr", place.hostaddr);
  one.set("port", place.port);
  one.set("target_session_attrs", "any");
  return one;
}

std::vector<ConnInfo> conninfos_for(const ConnInfo &conninfo, const SourcePlace &wanted) {
  const bool is_elsewhere = !conninfo.get("service").empty() && conninfo.get("host").empty() &&
                            conninfo.get("hostaddr").empty();
  if (is_elsewhere)
    return {conninfo};
  const std::vector<SourcePlace> named = named_places(conninfo);
  const bool is_named = wanted.is_known() && std::ranges::any_of(named, [&](const auto &place) {
                          return may_be(place, wanted);
                        });
  if (is_named)
    return {conninfo_at(conninfo, wanted)};
  std::vector<ConnInfo> conninfos;
  for (const SourcePlace &name : named)
    for (const SourcePlace &place : look_up(name))
      conninfos.push_back(conninfo_at(conninfo, place));
  return conninfos.size() > 1 ? conninfos : std::vector<ConnInfo>{conninfo};
}

} // namespace parallel_loader
