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

namespace {

// The source's messages have to come in our encoding from the first one on.
ConnInfo with_encoding(ConnInfo conninfo, const std::string &encoding) {
  conninfo.set("client_encoding", encoding);
  return conninfo;
}

} // namespace

SourceReader::SourceReader(const Order &order, const SourceAddress &address,
                           const std::optional<std::string> &snapshot, std::string_view role,
                           Waiter &waiter)
    : encoding_(call([]() noexcept { return GetDatabaseEncodingName(); })),
      session_(SourceSession::open(with_encoding(address.conninfo, encoding_), role,
                                   address.password_rule, waiter)) {
  session_.begin({encoding_, order.request.timezone, order.request.date_order}, snapshot);
}

} // namespace parallel_loader
