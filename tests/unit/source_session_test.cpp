// source_session_test: the transaction that every read of the source happens in.
#include "core/source_session.hpp"

#include "core/poll_waiter.hpp"
#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_server.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

const SourceFormats kFormats{"UTF8", "Asia/Tokyo", "DMY"};

// Begins a transaction on a server of that version and returns the statements it was sent.
std::vector<std::string> begin(std::string_view version,
                               const std::optional<std::string> &snapshot) {
  std::vector<std::string> statements;
  {
    FakeServer server([&](FakePeer &peer) {
      peer.admit(version);
      statements.push_back(peer.answer_command("BEGIN"));
      if (snapshot)
        statements.push_back(peer.answer_command("SET"));
      statements.push_back(peer.answer_row({"pg_catalog"}));
      statements.push_back(peer.answer_row({"x"}));
      peer.await_close();
    });
    PollWaiter waiter;
    SourceSession session =
        SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter);
    session.begin(kFormats, snapshot);
    EXPECT_EQ(session.search_path(), std::vector<std::string>{"pg_catalog"});
  }
  return statements;
}

bool holds(const std::string &text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(SourceSession, imports_the_snapshot_before_any_query) {
  const std::vector<std::string> statements = begin("15.20", "00000003-0000001B-1");
  ASSERT_EQ(statements.size(), 4U);
  EXPECT_EQ(statements[0],
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE");
  EXPECT_EQ(statements[1], "SET TRANSACTION SNAPSHOT '00000003-0000001B-1'");
}

TEST(SourceSession, pins_formats_for_the_transaction_only) {
  const std::string settings = begin("15.20", std::nullopt).back();
  for (const char *part :
       {"set_config('client_encoding', 'UTF8', true)", "set_config('DateStyle', 'ISO, DMY', true)",
        "set_config('TimeZone', 'Asia/Tokyo', true)", "set_config('row_security', 'off', true)",
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
  FakeServer server([](FakePeer &peer) {
    peer.admit("9.6.24");
    peer.await_close();
  });
  PollWaiter waiter;
  const Error error = catch_error(
      [&] { (void)SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter); });
  EXPECT_EQ(error.sqlstate(), "0A000");
  EXPECT_EQ(error.message(), "source is PostgreSQL 9.6; version 12 or later is needed");
}

TEST(SourceSession, refuses_snapshot_names_that_could_be_sql) {
  for (const char *snapshot : {"", "x", "1'; DROP TABLE t --", "../1"}) {
    FakeServer server([](FakePeer &peer) {
      peer.admit();
      peer.await_close();
    });
    PollWaiter waiter;
    SourceSession session =
        SourceSession::open(server.conninfo(), "test", PasswordRule::kAny, waiter);
    EXPECT_SQLSTATE("22023", session.begin(kFormats, snapshot)) << snapshot;
  }
}

TEST(SourceSession, password_rule_needs_a_password_before_it_connects) {
  PollWaiter waiter;
  const ConnInfo nowhere = ConnInfo::parse("host=/nonexistent");
  EXPECT_SQLSTATE("2F003", SourceSession::open(nowhere, "test", PasswordRule::kMustBeUsed, waiter));
}

TEST(SourceSession, password_rule_needs_the_source_to_ask_for_it) {
  FakeServer server([](FakePeer &peer) {
    peer.admit();
    peer.await_close();
  });
  ConnInfo conninfo = server.conninfo();
  conninfo.set("password", "p");
  PollWaiter waiter;
  EXPECT_SQLSTATE("2F003",
                  SourceSession::open(conninfo, "test", PasswordRule::kMustBeUsed, waiter));
}

} // namespace
} // namespace parallel_loader
