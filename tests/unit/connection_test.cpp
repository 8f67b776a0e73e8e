// connection_test: sessions that work, fail and are lost.
#include "core/connection.hpp"

#include "core/poll_waiter.hpp"
#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_server.hpp"

#include <unistd.h>

namespace parallel_loader {
namespace {

using namespace testing;
using std::chrono::milliseconds;

/// A session with a server that runs `script` once it has admitted the client.
class Session {
public:
  explicit Session(std::function<void(FakePeer &)> script, Peer peer = Peer::kSource)
      : server_([script = std::move(script)](FakePeer &fake) {
          fake.admit();
          script(fake);
        }),
        connection(Connection::open(server_.conninfo(), "test", peer, waiter_)) {}

private:
  FakeServer server_;
  PollWaiter waiter_;

public:
  Connection connection;
};

/// Wakes at once and says so, as an interrupted wait may.
class EagerWaiter final : public Waiter {
public:
  Woke wait(int, Want, milliseconds) override { return Woke::kReady; }
};

TEST(Connection, reads_rows_and_nulls) {
  Session session([](FakePeer &peer) { peer.answer_row({"1", "x"}); });
  const Rows rows = session.connection.exec("SELECT 1, 'x'");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows.integer(0, 0), 1);
  EXPECT_EQ(rows.text(0, 1), "x");
}

TEST(Connection, leaves_a_statement_to_the_server) {
  Session session([](FakePeer &peer) { peer.answer_row({"1"}); });
  session.connection.start("SELECT 1");
  EXPECT_EQ(session.connection.finish().integer(0, 0), 1);
}

TEST(Connection, counts_the_rows_of_a_command) {
  Session session([](FakePeer &peer) { peer.answer_command("UPDATE 7"); });
  const Rows rows = session.connection.exec("UPDATE t SET a = 1");
  EXPECT_TRUE(rows.empty());
  EXPECT_EQ(rows.affected(), 7U);
}

TEST(Connection, knows_the_servers_version_and_process) {
  Session session([](FakePeer &peer) { peer.await_close(); });
  EXPECT_EQ(session.connection.server_version(), 150020);
  EXPECT_EQ(session.connection.backend_pid(), 4711);
  EXPECT_FALSE(session.connection.used_password());
}

TEST(Connection, source_error_names_the_source_and_keeps_the_rest) {
  Session session([](FakePeer &peer) {
    peer.read_statement();
    peer.send_error("ERROR", "22012", "division by zero",
                    {{'D', "A detail."}, {'H', "A hint."}, {'W', "line 1"}});
    peer.send_ready();
    peer.answer_command("SELECT 0");
  });
  const Error error = catch_error([&] { session.connection.exec("SELECT 1/0"); });
  EXPECT_EQ(error.sqlstate(), "22012");
  EXPECT_EQ(error.message(), "could not read from source: division by zero");
  EXPECT_EQ(error.detail(), "A detail.\nline 1");
  EXPECT_EQ(error.hint(), "A hint.");
  EXPECT_NO_THROW(session.connection.exec("SELECT 0"));
}

TEST(Connection, destination_error_is_as_the_server_sent_it) {
  Session session(
      [](FakePeer &peer) {
        peer.read_statement();
        peer.send_error("ERROR", "23505", "duplicate key", {{'D', "Key (1)."}, {'W', "COPY t"}});
        peer.send_ready();
      },
      Peer::kDestination);
  const Error error = catch_error([&] { session.connection.exec("SELECT 1"); });
  EXPECT_EQ(error.message(), "duplicate key");
  EXPECT_EQ(error.detail(), "Key (1).");
}

TEST(Connection, fatal_error_is_a_lost_session_with_its_code) {
  for (const char *code : {"57P01", "25P03", "57P05"}) {
    Session session([code](FakePeer &peer) {
      peer.read_statement();
      peer.send_error("FATAL", code, "terminating connection");
    });
    const Error error = catch_error([&] { session.connection.exec("SELECT 1"); });
    EXPECT_EQ(error.sqlstate(), "08006");
    EXPECT_EQ(error.message(), "connection to source was lost");
    EXPECT_EQ(error.detail(), "The source sent " + std::string(code) + ": terminating connection.");
  }
}

TEST(Connection, session_closed_without_a_word_is_lost_with_libpqs_words) {
  Session session([](FakePeer &peer) { peer.read_statement(); }, Peer::kDestination);
  const Error error = catch_error([&] { session.connection.exec("SELECT 1"); });
  EXPECT_EQ(error.sqlstate(), "08006");
  EXPECT_EQ(error.message(), "connection to destination was lost");
  EXPECT_EQ(error.detail(), "Server closed the connection unexpectedly.");
}

TEST(Connection, lost_session_stays_lost) {
  Session session([](FakePeer &peer) { peer.read_statement(); });
  EXPECT_SQLSTATE("08006", session.connection.exec("SELECT 1"));
  EXPECT_SQLSTATE("08006", session.connection.exec("SELECT 1"));
}

TEST(Connection, error_of_a_foreign_servers_loss_is_not_our_loss) {
  Session session([](FakePeer &peer) {
    peer.read_statement();
    peer.send_error("ERROR", "08006", "could not connect to server \"other\"");
    peer.send_ready();
  });
  const Error error = catch_error([&] { session.connection.exec("SELECT 1"); });
  EXPECT_EQ(error.message(), "could not read from source: could not connect to server \"other\"");
}

TEST(Connection, error_after_a_result_is_not_overlooked) {
  Session session([](FakePeer &peer) {
    peer.read_statement();
    peer.send('1', {});
    peer.send('2', {});
    peer.send('n', {});
    peer.send('C', std::string("INSERT 0 1\0", 11));
    peer.send_error("ERROR", "23503", "violates foreign key");
    peer.send_ready();
  });
  EXPECT_SQLSTATE("23503", session.connection.exec("INSERT INTO t VALUES (1)"));
}

TEST(Connection, copy_by_exec_is_an_internal_error) {
  Session session([](FakePeer &peer) {
    peer.answer_copy();
    peer.await_close();
  });
  EXPECT_SQLSTATE("XX000", session.connection.exec("COPY t TO STDOUT"));
}

TEST(Connection, copy_out_of_anything_else_is_an_internal_error) {
  Session session([](FakePeer &peer) { peer.answer_command("SELECT 0"); });
  EXPECT_SQLSTATE("XX000", session.connection.copy_out("SELECT"));
}

TEST(Connection, copy_out_that_fails_is_the_peers_error) {
  Session session([](FakePeer &peer) {
    peer.read_statement();
    peer.send_error("ERROR", "42501", "permission denied");
    peer.send_ready();
    peer.answer_command("SELECT 0");
  });
  EXPECT_SQLSTATE("42501", session.connection.copy_out("COPY t TO STDOUT"));
  EXPECT_NO_THROW(session.connection.exec("SELECT"));
}

TEST(Connection, copy_rows_survive_a_move_of_the_connection) {
  Session session([](FakePeer &peer) {
    peer.answer_copy();
    peer.send_copy_data("a\n");
    peer.end_copy("COPY 1");
  });
  session.connection.copy_out("COPY t TO STDOUT");
  const std::string_view row = session.connection.copy_row();
  Connection moved(std::move(session.connection));
  EXPECT_EQ(row, "a\n");
  EXPECT_EQ(moved.copy_row(), "");
  EXPECT_EQ(moved.copy_end(), 1U);
}

TEST(Connection, refused_connection_is_08001_with_the_reason) {
  PollWaiter waiter;
  const ConnInfo nowhere({{"host", "/nonexistent"}, {"port", "1"}, {"user", "u"}});
  const Error error =
      catch_error([&] { (void)Connection::open(nowhere, "test", Peer::kSource, waiter); });
  EXPECT_EQ(error.sqlstate(), "08001");
  EXPECT_EQ(error.message().find("could not connect to source: connection to server on socket"), 0U)
      << error.message();
  EXPECT_EQ(error.message().find('\n'), std::string::npos);
  EXPECT_NE(error.hint(), "");
}

TEST(Connection, refusal_by_the_server_is_08001_with_its_words) {
  FakeServer server([](FakePeer &peer) {
    peer.send_error("FATAL", "28P01", "password authentication failed for user \"u\"");
  });
  PollWaiter waiter;
  const Error error = catch_error(
      [&] { (void)Connection::open(server.conninfo(), "test", Peer::kDestination, waiter); });
  EXPECT_EQ(error.sqlstate(), "08001");
  EXPECT_NE(error.message().find("password authentication failed"), std::string::npos);
}

TEST(Connection, silent_server_ends_with_the_connect_timeout) {
  FakeServer server([](FakePeer &peer) { peer.await_close(); });
  ConnInfo conninfo = server.conninfo();
  conninfo.set("connect_timeout", "1");
  PollWaiter waiter;
  const Error error =
      catch_error([&] { (void)Connection::open(conninfo, "test", Peer::kSource, waiter); });
  EXPECT_EQ(error.sqlstate(), "08001");
  EXPECT_EQ(error.message(), "could not connect to source: timeout expired");
}

TEST(Connection, connect_timeout_that_is_no_number_is_refused) {
  ConnInfo conninfo({{"host", "/nonexistent"}, {"connect_timeout", "soon"}});
  PollWaiter waiter;
  EXPECT_SQLSTATE("08001", Connection::open(conninfo, "test", Peer::kSource, waiter));
}

TEST(Connection, waits_that_end_early_do_no_harm) {
  FakeServer server([](FakePeer &peer) {
    peer.admit();
    peer.answer_row({"1"});
  });
  EagerWaiter waiter;
  Connection connection = Connection::open(server.conninfo(), "test", Peer::kSource, waiter);
  EXPECT_EQ(connection.exec("SELECT 1").integer(0, 0), 1);
}

TEST(Connection, interrupt_leaves_a_running_statement) {
  FakeServer server([](FakePeer &peer) {
    peer.admit();
    peer.await_close();
  });
  int interrupt[2];
  ASSERT_EQ(pipe(interrupt), 0);
  {
    PollWaiter waiter(interrupt[0]);
    Connection connection = Connection::open(server.conninfo(), "test", Peer::kSource, waiter);
    ASSERT_EQ(write(interrupt[1], "x", 1), 1);
    EXPECT_SQLSTATE("57014", connection.exec("SELECT pg_sleep(100)"));
  }
  close(interrupt[0]);
  close(interrupt[1]);
}

TEST(Connection, resolved_parameters_hold_the_host_but_no_defaults) {
  FakeServer server([](FakePeer &peer) {
    peer.admit();
    peer.await_close();
  });
  PollWaiter waiter;
  ConnInfo given = server.conninfo();
  given.set("password", "secret");
  const Connection connection = Connection::open(given, "test", Peer::kSource, waiter);
  const ConnInfo resolved = connection.resolved();
  EXPECT_EQ(resolved.get("host"), given.get("host"));
  EXPECT_EQ(resolved.get("password"), "secret");
  EXPECT_EQ(resolved.get("fallback_application_name"), "");
  EXPECT_NO_THROW(resolved.require_options_allowed_to_users());
}

} // namespace
} // namespace parallel_loader
