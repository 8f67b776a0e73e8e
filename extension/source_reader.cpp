// source_reader: see source_reader.hpp.
#include "extension/source_reader.hpp"

#include "extension/boundary.hpp"
#include "extension/database_text.hpp"

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

SourceSession begin_session(const Order &order, const SourceAddress &address,
                            const HeldSnapshot &snapshot, std::string_view role, Waiter &waiter) {
  const std::string encoding = call([]() noexcept { return GetDatabaseEncodingName(); });
  const SourceFormats formats = {encoding, order.request.date_order, is_database_text};
  const ConnInfo conninfo = with_encoding(address.conninfo, encoding);
  if (snapshot.place.is_known())
    return SourceSession::open_on(snapshot, conninfo, role, address.password_rule, formats, waiter);
  SourceSession session = SourceSession::open(conninfo, role, address.password_rule, waiter);
  session.begin(formats, snapshot.name.empty() ? std::nullopt : std::optional(snapshot));
  return session;
}

} // namespace

SourceReader::SourceReader(const Order &order, const SourceAddress &address,
                           const HeldSnapshot &snapshot, std::string_view role, Waiter &waiter)
    : session_(begin_session(order, address, snapshot, role, waiter)) {}

Error unknown_timezone(const std::string &zone, const std::string &why) {
  return Error(
      sqlstate::kInvalidParameterValue, "source does not know time zone \"" + zone + "\"", why,
      "Set TimeZone to a zone that both servers know, such as UTC, or update the time zone "
      "data of the source.");
}

bool SourceReader::try_timezone(const Order &order) {
  const std::string &zone = order.request.timezone;
  if (!is_in_callers_zone_)
    is_in_callers_zone_ = zone == "UTC" || session_.set_timezone(zone);
  return is_in_callers_zone_;
}

void SourceReader::set_timezone(const Order &order, Format format) {
  const PullRequest &request = order.request;
  const bool is_needed =
      request.start || request.end || !request.filter.empty() || !order.window.empty();
  if (!is_needed && format != Format::kText)
    return;
  if (!try_timezone(order) && is_needed)
    throw unknown_timezone(request.timezone,
                           "Bounds, filter and window are read in the time zone of this session.");
}

[[noreturn]] static void throw_explained(const Error &error, const QualifiedName &table) {
  if (error.sqlstate() != "55P03")
    throw error;
  throw Error(error.sqlstate(), "could not lock table \"" + table.display() + "\" on the source",
              "Another session there holds, or waits for, a lock that keeps others from reading "
              "the table.",
              "Pull again when that session is done.");
}

SourceTable SourceReader::find_table(const QualifiedName &name) {
  try {
    return SourceTable::find(session_.connection(), name, session_.search_path());
  } catch (const Error &error) {
    throw_explained(error, name);
  }
}

void SourceReader::lock_table(const SourceTable &table, const ColumnMap &columns) {
  try {
    static_cast<void>(session_.connection().exec(lock_statement(table, columns)));
  } catch (const Error &error) {
    throw_explained(error, table.name);
  }
  session_.release_lock_timeout();
}

} // namespace parallel_loader
