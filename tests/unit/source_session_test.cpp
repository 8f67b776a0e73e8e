// source_session_test: the transaction that every read of the source happens in.
#include "core/source/source_session.hpp"

#include "core/connection/poll_waiter.hpp"
#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_server.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

const SourceFormats kFormats{"UTF8", "DMY"};

// Begins a transaction on a server of that version and returns the statements it was sent.
std::vector<std::string> begin(std::string_view version,
                               const std::optional<HeldSnapshot> &snapshot) {
  std::vector<std::string> statements;
  {
    FakeServer server([&](FakeBackend &backend) {
      backend.admit(version);
      statements.push_back(backend.answer_command("BEGIN"));
      if (snapshot)
        statements.push_back(backend.answer_command("SET"));
      statements.push_back(backend.answer_row({"x"}));
      backend.await_close();
    });
    PollWaiter waiter;
    SourceSession session =
        SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter);
    session.begin(kFormats, snapshot);
  }
  return statements;
}

bool holds(const std::string &text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(SourceSession, imports_the_snapshot_before_any_query) {
  const std::vector<std::string> statements =
      begin("15.20", HeldSnapshot{.name = "00000003-0000001B-1", .state = {}, .place = {}});
  ASSERT_EQ(statements.size(), 3U);
  EXPECT_EQ(statements[0],
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE");
  EXPECT_EQ(statements[1], "SET TRANSACTION SNAPSHOT '00000003-0000001B-1'");
}

TEST(SourceSession, pins_formats_for_the_transaction_only) {
  const std::string settings = begin("15.20", std::nullopt).back();
  for (const char *part :
       {"set_config('client_encoding', 'UTF8', true)", "set_config('DateStyle', 'ISO, DMY', true)",
        "set_config('TimeZone', 'UTC', true)", "set_config('row_security', 'off', true)",
        "set_config('search_path', '', true)", "set_config('lc_monetary', 'C', true)"})
    EXPECT_TRUE(holds(settings, part)) << part;
  EXPECT_FALSE(holds(settings, "false)"));
  EXPECT_LT(settings.find("statement_timeout"), settings.find("client_encoding"));
}

TEST(SourceSession, sets_only_what_the_sources_version_has) {
  const std::string oldest = begin("12.22", std::nullopt).back();
  EXPECT_FALSE(holds(oldest, "idle_session_timeout"));
  EXPECT_FALSE(holds(oldest, "client_connection_check_interval"));
  EXPECT_FALSE(holds(oldest, "transaction_timeout"));
  const std::string newest = begin("18.0", std::nullopt).back();
  EXPECT_TRUE(holds(newest, "'idle_session_timeout', '0'"));
  EXPECT_TRUE(holds(newest, "client_connection_check_interval"));
  EXPECT_TRUE(holds(newest, "'transaction_timeout', '0'"));
}

TEST(SourceSession, refuses_sources_before_version_12) {
  FakeServer server([](FakeBackend &backend) {
    backend.admit("9.6.24");
    backend.await_close();
  });
  PollWaiter waiter;
  const Error error = catch_error(
      [&] { (void)SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter); });
  EXPECT_EQ(error.sqlstate(), "0A000");
  EXPECT_EQ(error.message(), "source is PostgreSQL 9.6; version 12 or later is needed");
}

TEST(SourceSession, refuses_snapshot_names_that_could_be_sql) {
  for (const char *snapshot : {"", "x", "1'; DROP TABLE t --", "../1"}) {
    FakeServer server([](FakeBackend &backend) {
      backend.admit();
      backend.await_close();
    });
    PollWaiter waiter;
    SourceSession session =
        SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter);
    EXPECT_SQLSTATE(
        "22023", session.begin(kFormats, HeldSnapshot{.name = snapshot, .state = {}, .place = {}}))
        << snapshot;
  }
}

// Has a server of that version tell its snapshot's bounds; returns the statement it was asked.
std::string ask_for_bounds(std::string_view version) {
  std::string statement;
  {
    FakeServer server([&](FakeBackend &backend) {
      backend.admit(version);
      statement = backend.answer_row({"700", "4294967999"});
      backend.await_close();
    });
    PollWaiter waiter;
    const SnapshotBounds bounds =
        SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter)
            .snapshot_bounds();
    EXPECT_EQ(bounds.xmin, 700);
    EXPECT_EQ(bounds.xmax, 4294967999);
  }
  return statement;
}

TEST(SourceSession, bounds_of_the_snapshot_are_asked_as_the_version_has_them) {
  const std::string old = ask_for_bounds("12.22");
  EXPECT_TRUE(holds(old, "pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot())"));
  EXPECT_TRUE(holds(old, "pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())"));
  for (const char *version : {"13.0", "15.20"}) {
    const std::string recent = ask_for_bounds(version);
    EXPECT_TRUE(holds(recent, "pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())"));
    EXPECT_TRUE(holds(recent, "pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())"));
  }
}

// True if begin() says that the snapshot is gone when the source refuses it with this error.
bool says_gone(std::string_view severity, std::string_view sqlstate) {
  FakeServer server([&](FakeBackend &backend) {
    backend.admit();
    backend.answer_command("BEGIN");
    backend.read_statement();
    backend.send_error(severity, sqlstate, "invalid snapshot identifier");
    if (severity == "ERROR") {
      backend.send_ready();
      backend.await_close();
    }
  });
  PollWaiter waiter;
  SourceSession session =
      SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter);
  try {
    session.begin(kFormats, HeldSnapshot{.name = "3-1", .lock = 0, .state = {}, .place = {}});
  } catch (const SnapshotGone &error) {
    EXPECT_EQ(error.sqlstate(), sqlstate);
    return true;
  } catch (const Error &error) {
    EXPECT_EQ(error.sqlstate(), "08006");
    return false;
  }
  ADD_FAILURE() << "no Error was thrown";
  return false;
}

const HeldSnapshot kHeld = {
    .name = "3-1", .lock = -4294967295, .state = "700:720:701", .place = {}};

// Begins on kHeld at a server that answers the look for its holder like this; returns the question,
// or why the snapshot is gone.
std::string prove(const std::vector<std::string> &answer) {
  std::string question;
  std::string gone;
  { // the question is there once the server has ended
    FakeServer server([&](FakeBackend &backend) {
      backend.admit();
      backend.answer_command("BEGIN");
      backend.answer_command("SET");
      backend.answer_row({"x"});
      question = backend.answer_row(answer);
      backend.await_close();
    });
    PollWaiter waiter;
    SourceSession session =
        SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter);
    try {
      session.begin(kFormats, kHeld);
    } catch (const SnapshotGone &error) {
      gone = "gone: " + error.message();
    }
  }
  return gone.empty() ? question : gone;
}

TEST(SourceSession, holder_is_looked_for_by_both_halves_of_its_lock) {
  const std::string question = prove({"700:720:701", "t"});
  EXPECT_TRUE(holds(question, "l.classid = 4294967295::pg_catalog.oid")) << question;
  EXPECT_TRUE(holds(question, "l.objid = 1::pg_catalog.oid AND l.objsubid = 1")) << question;
  EXPECT_TRUE(holds(question, "pg_catalog.pg_current_snapshot()")) << question;
}

TEST(SourceSession, snapshot_without_its_holder_is_gone) {
  EXPECT_EQ(prove({"700:720:701", "f"}), "gone: the session that holds snapshot \"3-1\" is not on "
                                         "this server, or has ended");
}

TEST(SourceSession, snapshot_of_another_state_is_gone) {
  EXPECT_EQ(prove({"700:720:", "t"}), "gone: snapshot \"3-1\" is a different one of that name");
}

TEST(SourceSession, lock_is_taken_before_the_export) {
  std::vector<std::string> statements;
  {
    FakeServer server([&](FakeBackend &backend) {
      backend.admit();
      statements.push_back(backend.answer_row({""}));
      statements.push_back(backend.answer_row({"3-1", "700:720:701"}));
      backend.await_close();
    });
    PollWaiter waiter;
    const HeldSnapshot held =
        SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter)
            .export_snapshot(77);
    EXPECT_EQ(held.name, "3-1");
    EXPECT_EQ(held.lock, 77);
    EXPECT_EQ(held.state, "700:720:701");
    EXPECT_EQ(held.place.host, server.conninfo().get("host"));
    EXPECT_TRUE(held.place.is_known());
  }
  EXPECT_TRUE(holds(statements.at(0), "pg_advisory_xact_lock_shared"));
  EXPECT_TRUE(holds(statements.at(1), "pg_export_snapshot"));
}

TEST(SourceSession, snapshot_that_the_source_no_longer_knows_is_gone) {
  EXPECT_TRUE(says_gone("ERROR", "22023"));
  EXPECT_TRUE(says_gone("ERROR", "42704"));
}

TEST(SourceSession, snapshot_of_a_lost_session_may_still_be_there) {
  EXPECT_FALSE(says_gone("FATAL", "57P01"));
}

// The answers to identity(): is it a standby, which functions may be called, what they return.
SourceIdentity identity_of(const char *is_standby, const char *may_call, std::string &statement) {
  const bool is_primary = std::string_view(is_standby) == "f";
  FakeServer server([&](FakeBackend &backend) {
    backend.admit();
    backend.answer_row({is_standby});
    std::string sql;
    while (holds(sql = backend.read_statement(), "has_function_privilege"))
      backend.send_row({may_call});
    statement = sql;
    backend.send_row({"d", "7001", is_primary ? "2" : "1", "0/5"});
    backend.await_close();
  });
  PollWaiter waiter;
  return SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter).identity();
}

TEST(SourceSession, primary_knows_its_timeline_before_its_control_file) {
  std::string statement;
  const SourceIdentity primary = identity_of("f", "t", statement);
  EXPECT_TRUE(holds(statement, "pg_walfile_name"));
  EXPECT_EQ(primary.timeline, "2");
  EXPECT_FALSE(primary.is_standby);
  const SourceIdentity standby = identity_of("t", "t", statement);
  EXPECT_TRUE(holds(statement, "pg_last_wal_replay_lsn"));
  EXPECT_FALSE(holds(statement, "pg_walfile_name"));
  EXPECT_TRUE(holds(statement, "pg_control_checkpoint"));
  EXPECT_TRUE(standby.is_standby);
}

TEST(SourceSession, what_the_role_may_not_call_is_not_asked) {
  std::string statement;
  (void)identity_of("f", "f", statement);
  EXPECT_EQ(statement, "SELECT pg_catalog.current_database(), NULL, NULL, NULL");
}

// ---- is it the same source? ----

const SourceIdentity kRecorded = {
    .system_identifier = "7001", .timeline = "2", .database = "d", .lsn = "1/A0"};

SourceIdentity but(void (*change)(SourceIdentity &)) {
  SourceIdentity found = kRecorded;
  change(found);
  return found;
}

TEST(WhyOtherSource, same_or_later_state_is_no_other) {
  EXPECT_EQ(why_other_source(kRecorded, kRecorded), "");
  EXPECT_EQ(why_other_source(kRecorded, but([](auto &found) { found.lsn = "1/A1"; })), "");
  EXPECT_EQ(why_other_source(kRecorded, but([](auto &found) { found.lsn = "2/0"; })), "");
  EXPECT_EQ(why_other_source(kRecorded, but([](auto &found) { found.timeline = "10"; })), "");
}

TEST(WhyOtherSource, what_differs_is_named) {
  EXPECT_TRUE(holds(why_other_source(kRecorded, but([](auto &found) { found.database = "e"; })),
                    "database \"e\""));
  EXPECT_TRUE(
      holds(why_other_source(kRecorded, but([](auto &found) { found.system_identifier = "7002"; })),
            "7002"));
  EXPECT_TRUE(holds(why_other_source(kRecorded, but([](auto &found) { found.timeline = "1"; })),
                    "timeline 1"));
  EXPECT_TRUE(
      holds(why_other_source(kRecorded, but([](auto &found) { found.lsn = "1/9F"; })), "1/9F"));
  EXPECT_TRUE(holds(why_other_source(kRecorded, but([](auto &found) { found.lsn = "0/FFFFFFFF"; })),
                    "1/A0 already"));
}

TEST(WhyOtherSource, what_either_side_does_not_know_is_not_compared) {
  const SourceIdentity unknown = {
      .system_identifier = {}, .timeline = {}, .database = "d", .lsn = {}};
  EXPECT_EQ(why_other_source(unknown, kRecorded), "");
  EXPECT_EQ(why_other_source(kRecorded, unknown), "");
}

TEST(SourceSession, password_rule_needs_a_password_before_it_connects) {
  PollWaiter waiter;
  const ConnInfo nowhere = ConnInfo::parse("host=/nonexistent");
  EXPECT_SQLSTATE("2F003", SourceSession::open(nowhere, "test", PasswordRule::kMustBeUsed, waiter));
}

TEST(SourceSession, password_rule_needs_the_source_to_ask_for_it) {
  FakeServer server([](FakeBackend &backend) {
    backend.admit();
    backend.await_close();
  });
  ConnInfo conninfo = server.conninfo();
  conninfo.set("password", "p");
  PollWaiter waiter;
  EXPECT_SQLSTATE("2F003",
                  SourceSession::open(conninfo, "test", PasswordRule::kMustBeUsed, waiter));
}

} // namespace
} // namespace parallel_loader
