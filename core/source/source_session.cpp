#include "core/source/source_session.hpp"

#include "core/base/error.hpp"
#include "core/base/pinned_settings.hpp"
#include "core/base/quote.hpp"
#include "core/base/wal_location.hpp"

#include <algorithm>
#include <utility>

namespace parallel_loader {
namespace {

constexpr int kOldestSource = 120000;

std::string version_text(int version) {
  const std::string major = std::to_string(version / 10000);
  return version >= 100000 ? major : major + "." + std::to_string(version / 100 % 100);
}

void require_password(bool is_there, std::string_view detail) {
  if (!is_there)
    throw Error(
        sqlstate::kPasswordRequired, "password is required", std::string(detail),
        "Roles without superuser rights can only connect to a source that asks for a password, "
        "with a password that is given in the connection string or the user mapping.");
}

// A source that vanishes without a word would else hold a worker for the kernel's default of hours.
ConnInfo with_keepalives(ConnInfo conninfo) {
  constexpr std::pair<std::string_view, std::string_view> kDefaults[] = {
      {"keepalives_idle", "60"},
      {"keepalives_interval", "10"},
      {"keepalives_count", "6"},
      {"tcp_user_timeout", "120000"}};
  for (const auto &[keyword, value] : kDefaults)
    if (conninfo.get(keyword).empty())
      conninfo.set(keyword, value);
  return conninfo;
}

bool is_snapshot_name(std::string_view text) {
  const auto is_part = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '-';
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), is_part);
}

constexpr std::string_view kLockTimeout = "3s";

constexpr PinnedSetting kOthers[] = {
    {"client_min_messages", "error"},
    {"standard_conforming_strings", "on"},
    {"escape_string_warning", "off"},
    {"row_security", "off"},
    {"synchronize_seqscans", "off"},
    {"enable_tidscan", "on"}, // without it every range of blocks reads the whole table
    {"max_parallel_workers_per_gather", "0"},
    {"jit", "off"}, // compiling a catalogue query costs more than running it
    {"plan_cache_mode", "force_generic_plan"}, // as does planning one that has a plan
    {"search_path", ""},
};

std::string set_config(std::string_view name, std::string_view value) {
  return "pg_catalog.set_config(" + quote_literal(name) + ", " + quote_literal(value) + ", true)";
}

// Makes the source end our query within a second once we have gone.  Platforms other than Linux may
// refuse any value but 0.
constexpr std::string_view kConnectionCheck =
    "pg_catalog.set_config('client_connection_check_interval', CASE WHEN "
    "pg_catalog.strpos(pg_catalog.version(), 'linux') OPERATOR(pg_catalog.>) 0 THEN '1s' ELSE '0' "
    "END, true), ";

// The session's own search path still holds: no operator is named without its schema.
std::string settings_statement(const SourceFormats &formats, int server_version) {
  std::string sql = "SELECT ";
  const auto add = [&](std::span<const PinnedSetting> settings) {
    for (const PinnedSetting &setting : settings)
      if (server_version >= setting.since_version)
        sql += set_config(setting.name, setting.value) + ", ";
  };
  add(kNoTimeouts);
  sql += set_config("lock_timeout", kLockTimeout) + ", "; // until release_lock_timeout
  add(kTextForms);
  add(kOthers);
  if (server_version >= kConnectionCheckSince)
    sql += kConnectionCheck;
  sql += set_config("client_encoding", formats.encoding) + ", ";
  sql += set_config("DateStyle", "ISO, " + formats.date_order) + ", ";
  return sql + set_config("TimeZone", "UTC");
}

// As pg_locks shows an advisory lock of one 64-bit key.
std::string holder_exists(int64_t key) {
  const auto bits = static_cast<uint64_t>(key);
  return "EXISTS (SELECT FROM pg_catalog.pg_locks AS l"
         " WHERE l.locktype = 'advisory' AND l.granted AND l.mode = 'ShareLock'"
         " AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d"
         " WHERE d.datname = pg_catalog.current_database())"
         " AND l.classid = " +
         std::to_string(bits >> 32) +
         "::pg_catalog.oid AND l.objid = " + std::to_string(bits & 0xFFFFFFFF) +
         "::pg_catalog.oid AND l.objsubid = 1)";
}

bool is_below(const std::optional<uint64_t> &value, const std::optional<uint64_t> &other) {
  return value && other && *value < *other;
}

bool is_known(const std::string &recorded, const std::string &found) {
  return !recorded.empty() && !found.empty();
}

bool is_temporary_schema(std::string_view schema) {
  return schema.starts_with("pg_temp_") || schema.starts_with("pg_toast_temp_");
}

} // namespace

SourceSession SourceSession::open(const ConnInfo &conninfo, std::string_view application_name,
                                  PasswordRule rule, Waiter &waiter) {
  const bool must_use_password = rule == PasswordRule::kMustBeUsed;
  require_password(!must_use_password || !conninfo.get("password").empty(),
                   "No password was given.");
  Connection connection =
      Connection::open(with_keepalives(conninfo), application_name, Server::kSource, waiter);
  require_password(!must_use_password || connection.used_password(),
                   "The source did not ask for the password.");
  if (connection.server_version() < kOldestSource)
    throw Error(sqlstate::kFeatureNotSupported, "source is PostgreSQL " +
                                                    version_text(connection.server_version()) +
                                                    "; version 12 or later is needed");
  return SourceSession(std::move(connection));
}

SourceSession SourceSession::open_on(const HeldSnapshot &snapshot, const ConnInfo &conninfo,
                                     std::string_view application_name, PasswordRule rule,
                                     const SourceFormats &formats, Waiter &waiter) {
  const std::vector<ConnInfo> conninfos = conninfos_for(conninfo, snapshot.place);
  std::optional<Error> unreachable;
  std::optional<SnapshotGone> gone;
  for (const ConnInfo &one : conninfos) {
    try {
      SourceSession session = open(one, application_name, rule, waiter);
      session.begin(formats, snapshot);
      return session;
    } catch (const SnapshotGone &error) {
      gone = error;
    } catch (const Error &error) {
      if (conninfos.size() == 1)
        throw;
      unreachable = error;
    }
  }
  if (gone)
    throw SnapshotGone(*gone);
  throw Error(*unreachable);
}

void SourceSession::begin(const SourceFormats &formats,
                          const std::optional<HeldSnapshot> &snapshot) {
  if (snapshot && !is_snapshot_name(snapshot->name))
    throw Error(sqlstate::kInvalidParameterValue,
                "invalid snapshot identifier: \"" + snapshot->name + "\"");
  connection_.check_text(formats.is_text);
  types_.clear();
  identity_.reset();
  connection_.exec("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE");
  // Before any query: that would take a snapshot of its own.
  if (snapshot)
    import_snapshot(snapshot->name);
  connection_.exec(settings_statement(formats, connection_.server_version()));
  if (snapshot && snapshot->lock != 0)
    require_holder(*snapshot);
  connection_.keep_plans();
}

const std::vector<std::string> &SourceSession::search_path() {
  if (!filter_path_)
    read_path();
  return search_path_;
}

const FilterPath &SourceSession::filter_path() {
  if (!filter_path_)
    read_path();
  return filter_path_;
}

// The value to which RESET would go: behind a pooler others may have left theirs in the session.
void SourceSession::read_path() {
  connection_.exec("SELECT pg_catalog.set_config('search_path', s.reset_val, true) "
                   "FROM pg_catalog.pg_settings AS s WHERE s.name = 'search_path'");
  const auto read = [this](std::string_view with_implicit) {
    const Rows rows = connection_.exec(
        "SELECT s.name FROM pg_catalog.unnest(pg_catalog.current_schemas(" +
        std::string(with_implicit) + ")) WITH ORDINALITY AS s(name, position) ORDER BY s.position");
    std::vector<std::string> schemas;
    for (size_t row = 0; row < rows.size(); ++row)
      if (std::string schema = rows.required_text(row, 0); !is_temporary_schema(schema))
        schemas.push_back(std::move(schema));
    return schemas;
  };
  search_path_ = read("true");
  filter_path_ = array_literal(read("false"));
  clear_filter_path(connection_);
}

void SourceSession::import_snapshot(const std::string &name) {
  try {
    connection_.exec("SET TRANSACTION SNAPSHOT '" + name + "'");
  } catch (const Error &error) {
    if (error.sqlstate().starts_with("08"))
      throw;
    throw SnapshotGone(error.sqlstate(), error.message(), error.detail(), error.hint());
  }
}

// The import itself proves nothing but that some session, of whatever server, has exported under
// this name.  The holder's lock is looked for after it, so the holder has lived all the time.
void SourceSession::require_holder(const HeldSnapshot &snapshot) {
  const Rows row = connection_.exec("SELECT " + snapshot_expression() + "::pg_catalog.text, " +
                                    holder_exists(snapshot.lock));
  if (!row.boolean(0, 1))
    throw SnapshotGone("55000", "the session that holds snapshot \"" + snapshot.name +
                                    "\" is not on this server, or has ended");
  if (!snapshot.state.empty() && row.text(0, 0) != snapshot.state)
    throw SnapshotGone("55000",
                       "snapshot \"" + snapshot.name + "\" is a different one of that name",
                       "It is " + row.text(0, 0) + ", the pull's is " + snapshot.state + ".");
}

std::string SourceSession::snapshot_expression() const {
  return std::string(connection_.server_version() >= 130000 ? "pg_catalog.pg_"
                                                            : "pg_catalog.txid_") +
         "current_snapshot()";
}

// A savepoint, as an error must not end the transaction: it holds the snapshot.
bool SourceSession::set_timezone(const std::string &zone) {
  bool is_known = true;
  connection_.exec("SAVEPOINT parallel_loader_zone");
  try {
    connection_.exec("SELECT " + set_config("TimeZone", zone));
  } catch (const Error &error) {
    if (error.sqlstate() != sqlstate::kInvalidParameterValue)
      throw;
    is_known = false;
    connection_.exec("ROLLBACK TO SAVEPOINT parallel_loader_zone");
  }
  connection_.exec("RELEASE SAVEPOINT parallel_loader_zone");
  return is_known;
}

void SourceSession::release_lock_timeout() {
  connection_.exec("SELECT pg_catalog.set_config('lock_timeout', '0', true)");
}

void SourceSession::limit_lock_timeout() {
  connection_.exec("SELECT " + set_config("lock_timeout", kLockTimeout));
}

HeldSnapshot SourceSession::export_snapshot(int64_t lock) {
  connection_.exec("SELECT pg_catalog.pg_advisory_xact_lock_shared($1::bigint)",
                   {Param(std::to_string(lock))});
  const Rows row = connection_.exec("SELECT pg_catalog.pg_export_snapshot(), " +
                                    snapshot_expression() + "::pg_catalog.text");
  return {.name = row.required_text(0, 0),
          .lock = lock,
          .state = row.required_text(0, 1),
          .place = connection_.place()};
}

// The control file learns of a promotion only with the checkpoint after it.
template <class MayRun>
static std::string timeline_expression(bool is_standby, const MayRun &may_run) {
  if (!is_standby && may_run("pg_catalog.pg_walfile_name(pg_lsn)") &&
      may_run("pg_catalog.pg_current_wal_lsn()"))
    return "('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), "
           "8))::bit(32)::integer";
  if (may_run("pg_catalog.pg_control_checkpoint()"))
    return "(SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())";
  return "NULL";
}

// It is compared with that of other sessions, and kept.
static void require_identity(const Rows &row) {
  if (!row.is_null(0, 1))
    static_cast<void>(row.required_integer(0, 1)); // a bigint, whose sign is no matter
  if (!row.is_null(0, 2) && !parse_timeline(row.text(0, 2)))
    throw Error(sqlstate::kProtocolViolation, "source sent an invalid timeline");
  if (!row.is_null(0, 3) && !parse_lsn(row.text(0, 3)))
    throw Error(sqlstate::kProtocolViolation, "source sent an invalid WAL location");
}

const SourceIdentity &SourceSession::identity() {
  if (!identity_)
    identity_ = read_identity();
  return *identity_;
}

SourceIdentity SourceSession::read_identity() {
  // Rights are checked when a function is planned in, so a CASE in one statement would not do.
  const auto may_run = [this](const std::string &function) {
    return connection_
        .exec("SELECT pg_catalog.has_function_privilege(pg_catalog.to_regprocedure(" +
              quote_literal(function) + "), 'EXECUTE')")
        .boolean(0, 0);
  };
  const bool is_standby = connection_.exec("SELECT pg_catalog.pg_is_in_recovery()").boolean(0, 0);
  const std::string lsn_function =
      is_standby ? "pg_catalog.pg_last_wal_replay_lsn()" : "pg_catalog.pg_current_wal_lsn()";
  std::string sql = "SELECT pg_catalog.current_database()";
  sql += may_run("pg_catalog.pg_control_system()")
             ? ", (SELECT system_identifier FROM pg_catalog.pg_control_system())"
             : ", NULL";
  sql += ", " + timeline_expression(is_standby, may_run);
  sql += ", " + (may_run(lsn_function) ? lsn_function : std::string("NULL"));

  const Rows row = connection_.exec(sql);
  require_identity(row);
  return {.system_identifier = row.text(0, 1),
          .timeline = row.text(0, 2),
          .database = row.required_text(0, 0),
          .lsn = row.text(0, 3),
          .is_standby = is_standby};
}

SnapshotBounds SourceSession::snapshot_bounds() {
  const std::string snapshot = snapshot_expression();
  const std::string prefix = snapshot.substr(0, snapshot.find("current_"));
  const std::string text = "::pg_catalog.text::bigint";
  const Rows row = connection_.exec("SELECT " + prefix + "snapshot_xmin(" + snapshot + ")" + text +
                                    ", " + prefix + "snapshot_xmax(" + snapshot + ")" + text);
  const int64_t xmin = row.required_integer(0, 0, 1);
  return {.xmin = xmin, .xmax = row.required_integer(0, 1, xmin)};
}

void SourceSession::end() {
  connection_.drop_plans();
  connection_.exec("COMMIT");
}

std::string why_other_source(const SourceIdentity &recorded, const SourceIdentity &found) {
  if (recorded.database != found.database)
    return "It is database \"" + found.database + "\", the pull was begun from \"" +
           recorded.database + "\".";
  if (is_known(recorded.system_identifier, found.system_identifier) &&
      recorded.system_identifier != found.system_identifier)
    return "Its system identifier is " + found.system_identifier + ", that of the pull's source " +
           recorded.system_identifier + ".";
  if (is_known(recorded.timeline, found.timeline) &&
      is_below(parse_timeline(found.timeline), parse_timeline(recorded.timeline)))
    return "It is on timeline " + found.timeline + ", and the pull's source was on " +
           recorded.timeline + " already.";
  if (is_known(recorded.lsn, found.lsn) && is_below(parse_lsn(found.lsn), parse_lsn(recorded.lsn)))
    return "It is at WAL location " + found.lsn + ", and the pull's source was at " + recorded.lsn +
           " already.";
  return {};
}

bool is_held_here(Executor &executor, int64_t lock) {
  return executor.exec("SELECT " + holder_exists(lock)).boolean(0, 0);
}

} // namespace parallel_loader
