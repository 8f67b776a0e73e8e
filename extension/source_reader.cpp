// source_reader: see source_reader.hpp.
#include "extension/source_reader.hpp"

#include "extension/boundary.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "storage/fd.h"
}

namespace parallel_loader {

ReservedDescriptor::ReservedDescriptor() {
  if (!call([]() noexcept { return AcquireExternalFD(); })) {
    throw Error("53000", "no file descriptor is left for a connection to the source", "",
                "Raise max_files_per_process, or use fewer workers.");
  }
}

ReservedDescriptor::~ReservedDescriptor() {
  ReleaseExternalFD();
} // a counter, never raises

SourceReader::SourceReader(const Order &order, const SourceAddress &address,
                           const std::optional<std::string> &snapshot, std::string_view role,
                           Waiter &waiter)
    : session_(SourceSession::open(address.conninfo, role, address.password_rule, waiter)) {
  const std::string encoding = call([]() noexcept { return GetDatabaseEncodingName(); });
  session_.begin({encoding, order.request.timezone, order.request.date_order}, snapshot);
}

} // namespace parallel_loader
