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

} // namespace

SourceReader::SourceReader(const Order &order, const SourceAddress &address,
                           const std::optional<std::string> &snapshot, std::string_view role,
                           Waiter &waiter)
    : encoding_(call([]() noexcept { return GetDatabaseEncodingName(); })),
      session_(SourceSession::open(with_encoding(address.conninfo, encoding_), role,
                                   address.password_rule, waiter)) {
  session_.begin({encoding_, order.request.timezone, order.request.date_order, is_database_text},
                 snapshot);
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
