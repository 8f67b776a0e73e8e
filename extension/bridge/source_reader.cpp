#include "extension/bridge/source_reader.hpp"

#include <algorithm>

#include "core/base/quote.hpp"
#include "core/base/retry.hpp"
#include "core/source/relation_sizes.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/database_text.hpp"

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

[[noreturn]] void throw_unreachable(const Error &error) {
  if (error.sqlstate() != sqlstate::kCannotConnect)
    throw; // NOLINT(misc-throw-by-value-catch-by-reference): what it is, with its own type
  throw error.with_detail("The destination server made the connection.");
}

SourceSession begin_session(const std::string &date_order, const SourceAddress &address,
                            const HeldSnapshot &snapshot, std::string_view role, Waiter &waiter) {
  try {
    const std::string encoding = call([]() noexcept { return GetDatabaseEncodingName(); });
    const SourceFormats formats = {encoding, date_order, is_database_text};
    const ConnInfo conninfo = with_encoding(address.conninfo, encoding);
    if (snapshot.place.is_known())
      return SourceSession::open_on(snapshot, conninfo, role, address.password_rule, formats,
                                    waiter);
    SourceSession session = SourceSession::open(conninfo, role, address.password_rule, waiter);
    session.begin(formats, snapshot.name.empty() ? std::nullopt : std::optional(snapshot));
    return session;
  } catch (const Error &error) {
    throw_unreachable(error);
  }
}

} // namespace

SourceReader::SourceReader(const Request &request, const SourceAddress &address,
                           const HeldSnapshot &snapshot, std::string_view role, Waiter &waiter)
    : session_(begin_session(request.pull.date_order, address, snapshot, role, waiter)),
      date_order_(request.pull.date_order), address_(address), role_(role), waiter_(waiter) {}

const HeldSnapshot &SourceReader::hold_snapshot(int64_t lock) {
  if (!held_) {
    held_ = session_.export_snapshot(lock); // which cannot be done below a savepoint
    session_.connection().exec("SAVEPOINT parallel_loader_locks");
  }
  return *held_;
}

void SourceReader::release_locks() {
  session_.connection().exec("ROLLBACK TO SAVEPOINT parallel_loader_locks");
  is_in_callers_zone_ = false; // as before
}

void SourceReader::allow_anew() {
  session_.connection().exec("SAVEPOINT parallel_loader_locks");
}

void SourceReader::begin_anew() {
  release_locks();
}

void SourceReader::begin_anew(const std::string &date_order) {
  release_locks();
  if (date_order != date_order_)
    session_.connection().exec("SELECT pg_catalog.set_config('DateStyle', " +
                               quote_literal("ISO, " + date_order) + ", true)");
}

Error unknown_timezone(const std::string &zone, const std::string &why) {
  return Error(
      sqlstate::kInvalidParameterValue, "source does not know time zone \"" + zone + "\"", why,
      "Set TimeZone to a zone that both servers know, such as UTC, or update the time zone "
      "data of the source.");
}

bool SourceReader::try_timezone(const Request &request) {
  const std::string &zone = request.pull.timezone;
  if (!is_in_callers_zone_)
    is_in_callers_zone_ = zone == "UTC" || session_.set_timezone(zone);
  return is_in_callers_zone_;
}

void SourceReader::set_timezone(const Request &request, Format format) {
  const PullRequest &pull = request.pull;
  const bool is_needed = pull.start || pull.end || !pull.filter.empty() || !request.window.empty();
  if (!is_needed && format != Format::kText)
    return;
  if (!try_timezone(request) && is_needed)
    throw unknown_timezone(pull.timezone,
                           "Bounds, filter and window are read in the time zone of this session.");
}

// What the source's role lacks for reading the table; to be allowed more than that does no harm.
[[noreturn]] static void throw_denied(const Error &error, const QualifiedName &table,
                                      const Connection &source) {
  const std::string to = " TO " + quote_identifier(source.resolved().get("user")) + ";";
  throw Error(error.sqlstate(), error.message(), error.detail(),
              "Run on the source: GRANT USAGE ON SCHEMA " + quote_identifier(table.schema) + to +
                  " GRANT SELECT ON " + table.quoted() + to);
}

[[noreturn]] static void throw_explained(const Error &error, const QualifiedName &table) {
  if (error.sqlstate() == "55P03") {
    throw Error(error.sqlstate(), "could not lock table " + table.cited() + " on the source",
                "Another session on the source holds, or waits for, a lock that blocks readers of "
                "the table.",
                "Pull again when that session has released the lock.");
  }
  if (error.sqlstate() == "53200") {
    throw Error(error.sqlstate(), error.message(),
                error.detail().empty() ? "The source has no room for more locks." : error.detail(),
                "Raise max_locks_per_transaction on the source, or use fewer workers.");
  }
  throw; // NOLINT(misc-throw-by-value-catch-by-reference): what it is, with its own type
}

template <class Fn> auto SourceReader::explain(const QualifiedName &name, Fn fn) {
  try {
    return fn();
  } catch (const Error &error) {
    // Row security has the same SQLSTATE, and grants do not help against it.
    if (error.sqlstate() == sqlstate::kInsufficientPrivilege && !name.schema.empty() &&
        error.message().find("row-level") == std::string::npos)
      throw_denied(error, name, session_.connection());
    throw_explained(error, name);
  }
}

SourceTable SourceReader::find_table(const QualifiedName &name) {
  return explain(
      name,
      [&] {
        SourceTable table;
        leave_no_lock(
            session_.connection(),
            [&] {
              table = SourceTable::find(session_.connection(), name, session_.search_path());
            });
        return table;
      });
}

void SourceReader::require_definitions_as_snapshot(const Shape &relations) {
  const std::vector<ExpectedRelation> written =
      find_written_columns(session_.connection(), relations);
  if (written.empty())
    return;
  const ReservedDescriptor descriptor;
  const SourceAddress same_server = {conninfo_at(address_.conninfo, session_.connection().place()),
                                     address_.password_rule};
  SourceSession now = begin_session(date_order_, same_server, {}, role_, waiter_);
  require_columns_as_snapshot(session_.connection(), now.connection(), relations, written);
}

Shape SourceReader::require_locked_as_snapshot() {
  Shape relations = locked_relations(session_.connection());
  if (relations.size() > 1) // the pulled table alone is kept as it is by its lock
    require_definitions_as_snapshot(relations);
  return relations;
}

bool SourceReader::does_filter_read(const SourceTable &table, const FilterPath &path,
                                    const std::string &filter) {
  Connection &source = session_.connection();
  if (has_locked_tree(source, table.oid)) // as by a resume, whose plan has looked
    return false;
  bool is_read = false;
  leave_no_lock(source, [&] {
    const std::optional<QualifiedName> leaf = find_leaf(source, table.oid);
    if (!leaf)
      return;
    try {
      exec_along(source, path, filter_probe(leaf_item(leaf->quoted()), filter));
      is_read = has_locked_tree(source, table.oid);
    } catch (const Error &error) { // what else is wrong with it, whoever reads by it says
      if (is_lock_trouble(error.sqlstate()))
        throw;
    }
  });
  return is_read;
}

// Names that were read from the catalogue stand for something; by now it may be gone.
static auto describe_known(Connection &source, const std::string &sql,
                           std::span<const ExpectedRelation> relations) {
  try {
    return source.describe(sql);
  } catch (const Error &error) {
    if (error.sqlstate() != sqlstate::kUndefinedTable)
      throw;
    const auto missing = std::ranges::find_if(relations, [&](const ExpectedRelation &relation) {
      return error.message().find(relation.name.cited()) != std::string::npos;
    });
    throw_replaced((missing == relations.end() ? relations.front() : *missing).name.quoted());
  }
}

Shape SourceReader::lock_relation(const std::string &from_item, const ExpectedRelation &relation,
                                  const SourceShape &shape) {
  return explain(
      relation.name,
      [&] {
        Connection &source = session_.connection();
        Shape lines =
            shape.lines(describe_known(source, shape.statement(from_item), {&relation, 1}));
        require_as_snapshot(source, {&relation, 1});
        return lines;
      });
}

void SourceReader::lock_relations(std::span<const ExpectedRelation> relations) {
  constexpr size_t kAtOnce = 100;
  for (; !relations.empty(); relations = relations.subspan(std::min(kAtOnce, relations.size()))) {
    const auto some = relations.first(std::min(kAtOnce, relations.size()));
    std::string list;
    for (const ExpectedRelation &relation : some)
      list += (list.empty() ? "ONLY " : ", ONLY ") + relation.name.quoted() + " AS r" +
              std::to_string(&relation - some.data());
    explain(some.front().name, [&] {
      static_cast<void>(describe_known(session_.connection(), "SELECT FROM " + list, some));
      require_as_snapshot(session_.connection(), some);
    });
  }
}

// A filter may have locked other tables in this session.
static void keep_partitions(Executor &source, const SourceTable &table, Shape &members) {
  const Shape tree = partition_tree(source, table.oid);
  std::erase_if(members, [&](const ShapeLine &line) { return find_new(tree, {line}) != nullptr; });
}

Shape SourceReader::lock_members(const SourceTable &table, const ColumnMap &columns) {
  return explain(
      table.name,
      [&] {
        static_cast<void>(session_.connection().exec(lock_statement(table, columns)));
        Shape members = locked_relations(session_.connection());
        if (table.kind == 'v') {
          require_definitions_as_snapshot(members);
          add_content(session_.connection(), members);
        } else if (table.kind == 'p')
          keep_partitions(session_.connection(), table, members);
        return members;
      });
}

// What the session has locked before is the table, or parts of it, and what a view is made of:
// those are looked at by themselves.
Shape SourceReader::lock_filter(const SourceTable &table, const std::string &from_item,
                                const FilterPath &path, const std::string &filter) {
  Connection &source = session_.connection();
  Shape own = locked_relations(source);
  try {
    require_readable_filter(source, path, from_item, filter);
  } catch (const Error &error) {
    if (error.sqlstate() != "55P03")
      throw;
    throw Error(error.sqlstate(), "could not lock a table that the filter reads on the source",
                "Another session there holds, or waits for, a lock that keeps others from reading "
                "the table.",
                "Pull again when that session is done.");
  }
  const Shape all = locked_relations(source);
  if (table.kind == 'p') // a filter may read the table itself
    std::ranges::copy(look_at_partition_tree(source, table.oid), std::back_inserter(own));
  Shape lines = all;
  std::erase_if(lines, [&](const ShapeLine &line) { return find_new(own, {line}) == nullptr; });
  require_definitions_as_snapshot(all); // a filter may read rows of the table as a whole
  if (lines.empty())
    return lines;
  add_content(source, lines);
  for (ShapeLine &line : lines)
    if (line.part == ShapePart::kRelation)
      line.part = ShapePart::kFilterRelation;
  return lines;
}

void SourceReader::require_rights(const SourceTable &table, const ColumnMap &columns) {
  explain(
      table.name,
      [&] { static_cast<void>(session_.connection().exec(rights_statement(table, columns))); });
}

} // namespace parallel_loader
