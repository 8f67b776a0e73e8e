// connection_test: sessions that work, fail and are lost.
#include "core/connection/connection.hpp"

#include "core/connection/poll_waiter.hpp"
#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_session.hpp"

#include <optional>
#include <thread>
#include <utility>

#include <unistd.h>

namespace parallel_loader {
namespace {

using namespace testing;
using std::chrono::milliseconds;

/// Wakes at once and says so, as an interrupted wait may.
class EagerWaiter final : public Waiter {
public:
  Woke wait(int, Want, milliseconds) override { return Woke::kReady; }
  void nap(std::chrono::microseconds) override {}
};

/// Notes the waits and naps for the rows of a stream: a letter each, in their order.
class NotingWaiter final : public Waiter {
public:
  Woke wait(int fd, Want want, milliseconds timeout) override {
    if (want == Want::kRead)
      note('w');
    return waiter_.wait(fd, want, timeout);
  }
  void nap(std::chrono::microseconds) override {
    note('n');
    if (on_nap)
      on_nap();
  }

  void begin() { notes_ = std::string(); }
  [[nodiscard]] std::string take() { return std::exchange(*notes_, {}); }

  std::function<void()> on_nap; // called in each nap

private:
  void note(char letter) {
    if (notes_)
      *notes_ += letter;
  }

  PollWaiter waiter_;
  std::optional<std::string> notes_;
};

/// A pipe through which a test lets the server's script go on.
class Gate {
public:
  Gate() { EXPECT_EQ(pipe(ends_), 0); }
  Gate(const Gate &) = delete;
  Gate &operator=(const Gate &) = delete;
  ~Gate() {
    close(ends_[0]);
    close(ends_[1]);
  }

  /// Lets so many pass.
  void open(size_t count = 1) {
    const std::string bytes(count, 'x');
    EXPECT_EQ(write(ends_[1], bytes.data(), count), static_cast<ssize_t>(count));
  }
  void pass() {
    char byte = 0;
    EXPECT_EQ(read(ends_[0], &byte, 1), 1);
  }

private:
  int ends_[2] = {-1, -1};
};

TEST(Connection, reads_rows_and_nulls) {
  FakeSession session([](FakeBackend &backend) { backend.answer_row({"1", "x"}); });
  const Rows rows = session.connection.exec("SELECT 1, 'x'");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows.integer(0, 0), 1);
  EXPECT_EQ(rows.text(0, 1), "x");
}

TEST(Connection, leaves_a_statement_to_the_server) {
  FakeSession session([](FakeBackend &backend) { backend.answer_row({"1"}); });
  session.connection.start("SELECT 1");
  EXPECT_EQ(session.connection.finish().integer(0, 0), 1);
}

TEST(Connection, counts_the_rows_of_a_command) {
  FakeSession session([](FakeBackend &backend) { backend.answer_command("UPDATE 7"); });
  const Rows rows = session.connection.exec("UPDATE t SET a = 1");
  EXPECT_TRUE(rows.empty());
  EXPECT_EQ(rows.affected(), 7U);
}

TEST(Connection, knows_the_servers_version_and_process) {
  FakeSession session([](FakeBackend &backend) { backend.await_close(); });
  EXPECT_EQ(session.connection.server_version(), 150020);
  EXPECT_EQ(session.connection.backend_pid(), 4711);
  EXPECT_FALSE(session.connection.used_password());
}

TEST(Connection, source_error_names_the_source_and_keeps_the_rest) {
  FakeSession session([](FakeBackend &backend) {
    backend.read_statement();
    backend.send_error("ERROR", "22012", "division by zero",
                       {{'D', "A detail."}, {'H', "A hint."}, {'W', "line 1"}});
    backend.send_ready();
    backend.answer_command("SELECT 0");
  });
  const Error error = catch_error([&] { session.connection.exec("SELECT 1/0"); });
  EXPECT_EQ(error.sqlstate(), "22012");
  EXPECT_EQ(error.message(), "could not read from source: division by zero");
  EXPECT_EQ(error.detail(), "A detail.\nline 1");
  EXPECT_EQ(error.hint(), "A hint.");
  EXPECT_NO_THROW(session.connection.exec("SELECT 0"));
}

TEST(Connection, destination_error_is_as_the_server_sent_it) {
  FakeSession session(
      [](FakeBackend &backend) {
        backend.read_statement();
        backend.send_error("ERROR", "23505", "duplicate key", {{'D', "Key (1)."}, {'W', "COPY t"}});
        backend.send_ready();
      },
      Server::kDestination);
  const Error error = catch_error([&] { session.connection.exec("SELECT 1"); });
  EXPECT_EQ(error.message(), "duplicate key");
  EXPECT_EQ(error.detail(), "Key (1).");
}

TEST(Connection, fatal_error_is_a_lost_session_with_its_code) {
  for (const char *code : {"57P01", "25P03", "57P05"}) {
    FakeSession session([code](FakeBackend &backend) {
      backend.read_statement();
      backend.send_error("FATAL", code, "terminating connection");
    });
    const Error error = catch_error([&] { session.connection.exec("SELECT 1"); });
    EXPECT_EQ(error.sqlstate(), "08006");
    EXPECT_EQ(error.message(), "connection to source was lost");
    EXPECT_EQ(error.detail(), "The source sent " + std::string(code) + ": terminating connection.");
  }
}

TEST(Connection, session_closed_without_a_word_is_lost_with_libpqs_words) {
  FakeSession session([](FakeBackend &backend) { backend.read_statement(); }, Server::kDestination);
  const Error error = catch_error([&] { session.connection.exec("SELECT 1"); });
  EXPECT_EQ(error.sqlstate(), "08006");
  EXPECT_EQ(error.message(), "connection to destination was lost");
  EXPECT_EQ(error.detail(), "Server closed the connection unexpectedly.");
}

TEST(Connection, lost_session_stays_lost) {
  FakeSession session([](FakeBackend &backend) { backend.read_statement(); });
  EXPECT_SQLSTATE("08006", session.connection.exec("SELECT 1"));
  EXPECT_SQLSTATE("08006", session.connection.exec("SELECT 1"));
}

// Polls, as the socket is told of a close only a moment after it.
std::string code_of_require_open(Connection &connection, bool until_lost) {
  for (int turn = 0; turn < 500; ++turn) {
    try {
      connection.require_open();
    } catch (const Error &error) {
      return error.sqlstate();
    }
    if (!until_lost)
      return {};
    std::this_thread::sleep_for(milliseconds(10));
  }
  return "open";
}

TEST(Connection, idle_session_is_open_and_stays_usable) {
  FakeSession session([](FakeBackend &backend) {
    backend.answer_row({"1"});
    backend.answer_row({"2"});
  });
  EXPECT_EQ(session.connection.exec("SELECT 1").integer(0, 0), 1);
  EXPECT_EQ(code_of_require_open(session.connection, false), "");
  EXPECT_EQ(session.connection.exec("SELECT 2").integer(0, 0), 2);
}

TEST(Connection, idle_session_that_the_server_ends_is_not_open) {
  FakeSession session([](FakeBackend &backend) { backend.answer_row({"1"}); });
  (void)session.connection.exec("SELECT 1");
  EXPECT_EQ(code_of_require_open(session.connection, true), "08006");
  EXPECT_SQLSTATE("08006", session.connection.require_open());
}

TEST(Connection, idle_session_that_is_terminated_is_not_open) {
  FakeSession session([](FakeBackend &backend) {
    backend.answer_row({"1"});
    backend.send_error("FATAL", "25P03", "terminating connection due to idle timeout");
  });
  (void)session.connection.exec("SELECT 1");
  EXPECT_EQ(code_of_require_open(session.connection, true), "08006");
}

TEST(Connection, error_of_a_foreign_servers_loss_is_not_our_loss) {
  FakeSession session([](FakeBackend &backend) {
    backend.read_statement();
    backend.send_error("ERROR", "08006", "could not connect to server \"other\"");
    backend.send_ready();
  });
  const Error error = catch_error([&] { session.connection.exec("SELECT 1"); });
  EXPECT_EQ(error.message(), "could not read from source: could not connect to server \"other\"");
}

TEST(Connection, error_after_a_result_is_not_overlooked) {
  FakeSession session([](FakeBackend &backend) {
    backend.read_statement();
    backend.send('1', {});
    backend.send('2', {});
    backend.send('n', {});
    backend.send('C', std::string("INSERT 0 1\0", 11));
    backend.send_error("ERROR", "23503", "violates foreign key");
    backend.send_ready();
  });
  EXPECT_SQLSTATE("23503", session.connection.exec("INSERT INTO t VALUES (1)"));
}

TEST(Connection, copy_by_exec_is_an_internal_error) {
  FakeSession session([](FakeBackend &backend) {
    backend.answer_copy();
    backend.await_close();
  });
  EXPECT_SQLSTATE("08P01", session.connection.exec("COPY t TO STDOUT"));
}

TEST(Connection, copy_out_of_anything_else_is_an_internal_error) {
  FakeSession session([](FakeBackend &backend) { backend.answer_command("SELECT 0"); });
  EXPECT_SQLSTATE("08P01", session.connection.copy_out("SELECT"));
}

TEST(Connection, copy_out_that_fails_is_the_servers_error) {
  FakeSession session([](FakeBackend &backend) {
    backend.read_statement();
    backend.send_error("ERROR", "42501", "permission denied");
    backend.send_ready();
    backend.answer_command("SELECT 0");
  });
  EXPECT_SQLSTATE("42501", session.connection.copy_out("COPY t TO STDOUT"));
  EXPECT_NO_THROW(session.connection.exec("SELECT"));
}

TEST(Connection, copy_rows_survive_a_move_of_the_connection) {
  FakeSession session([](FakeBackend &backend) {
    backend.answer_copy();
    backend.send_copy_data("a\n");
    backend.end_copy("COPY 1");
  });
  session.connection.copy_out("COPY t TO STDOUT");
  const std::string_view row = session.connection.copy_row();
  Connection moved(std::move(session.connection));
  EXPECT_EQ(row, "a\n");
  EXPECT_EQ(moved.copy_row(), "");
  EXPECT_EQ(moved.copy_end(), 1U);
}

// The server sends the rows one by one, each when the test opens `gate`, and opens `sent` after it.
class GatedCopy {
public:
  explicit GatedCopy(const std::vector<std::string> &pieces)
      : piece_count_(pieces.size()), server_([this, pieces](FakeBackend &backend) {
          backend.admit();
          backend.answer_copy();
          for (const std::string &piece : pieces) {
            gate.pass();
            backend.send_raw(piece);
            sent.open();
          }
          gate.pass();
          backend.end_copy("COPY 1");
        }),
        connection(Connection::open(server_.conninfo(), "test", Server::kSource, waiter)) {
    connection.copy_out("COPY t TO STDOUT");
    waiter.begin();
  }
  GatedCopy(const GatedCopy &) = delete;
  GatedCopy &operator=(const GatedCopy &) = delete;
  ~GatedCopy() { gate.open(piece_count_ + 1); }

  void send_next() {
    gate.open();
    sent.pass();
  }

  Gate gate;
  Gate sent;
  NotingWaiter waiter;

private:
  size_t piece_count_;
  FakeServer server_;

public:
  Connection connection;
};

std::string copy_data(std::string_view row) {
  return 'd' + int32_bytes(static_cast<unsigned>(row.size()) + 4) + std::string(row);
}

TEST(Connection, copy_row_that_has_come_is_taken_without_a_nap) {
  GatedCopy copy({copy_data("a\n") + copy_data("b\n")});
  copy.send_next();
  EXPECT_EQ(copy.connection.copy_row(), "a\n");
  EXPECT_EQ(copy.connection.copy_row(), "b\n");
  EXPECT_EQ(copy.waiter.take(), "");
}

TEST(Connection, copy_row_that_comes_in_a_nap_is_not_waited_for) {
  GatedCopy copy({copy_data("a\n")});
  copy.waiter.on_nap = [&] { copy.send_next(); };
  EXPECT_EQ(copy.connection.copy_row(), "a\n");
  EXPECT_EQ(copy.waiter.take(), "n");
}

TEST(Connection, copy_row_that_does_not_come_in_a_nap_is_waited_for) {
  GatedCopy copy({copy_data("a\n")});
  std::thread later([&] {
    std::this_thread::sleep_for(milliseconds(50));
    copy.send_next();
  });
  EXPECT_EQ(copy.connection.copy_row(), "a\n");
  later.join();
  EXPECT_EQ(copy.waiter.take(), "nw");
}

TEST(Connection, long_copy_row_that_has_come_is_taken_without_a_nap) {
  GatedCopy copy({copy_data(std::string(100'000, 'x'))});
  copy.send_next();
  EXPECT_EQ(copy.connection.copy_row().size(), 100'000U);
  EXPECT_EQ(copy.waiter.take().find('n'), std::string::npos);
}

TEST(Connection, rest_of_a_copy_row_gathers_in_a_nap) {
  const std::string row = copy_data(std::string(100'000, 'x'));
  GatedCopy copy({row.substr(0, 10'000), row.substr(10'000)});
  copy.send_next();
  copy.waiter.on_nap = [&] { copy.send_next(); };
  EXPECT_EQ(copy.connection.copy_row().size(), 100'000U);
  EXPECT_EQ(copy.waiter.take(), "n");
}

TEST(Connection, interrupt_leaves_a_nap) {
  GatedCopy copy({copy_data("a\n")});
  copy.waiter.on_nap = [] { throw Error("57014", "canceled by the user"); };
  EXPECT_SQLSTATE("57014", copy.connection.copy_row());
}

TEST(Connection, statements_are_waited_for_without_a_nap) {
  FakeServer server([](FakeBackend &backend) {
    backend.admit();
    backend.answer_row({"1"});
  });
  NotingWaiter waiter;
  Connection connection = Connection::open(server.conninfo(), "test", Server::kSource, waiter);
  waiter.begin();
  EXPECT_EQ(connection.exec("SELECT 1").integer(0, 0), 1);
  EXPECT_EQ(waiter.take().find('n'), std::string::npos);
}

TEST(Connection, refused_connection_is_08001_with_the_reason) {
  PollWaiter waiter;
  const ConnInfo nowhere({{"host", "/nonexistent"}, {"port", "1"}, {"user", "u"}});
  const Error error =
      catch_error([&] { (void)Connection::open(nowhere, "test", Server::kSource, waiter); });
  EXPECT_EQ(error.sqlstate(), "08001");
  EXPECT_EQ(error.message().find("could not connect to source: connection to server on socket"), 0U)
      << error.message();
  EXPECT_EQ(error.message().find('\n'), std::string::npos);
  EXPECT_NE(error.hint(), "");
}

TEST(Connection, refusal_by_the_server_is_08001_with_its_words) {
  FakeServer server([](FakeBackend &backend) {
    backend.send_error("FATAL", "28P01", "password authentication failed for user \"u\"");
  });
  PollWaiter waiter;
  const Error error = catch_error(
      [&] { (void)Connection::open(server.conninfo(), "test", Server::kDestination, waiter); });
  EXPECT_EQ(error.sqlstate(), "08001");
  EXPECT_NE(error.message().find("password authentication failed"), std::string::npos);
}

TEST(Connection, silent_server_ends_with_the_connect_timeout) {
  FakeServer server([](FakeBackend &backend) { backend.await_close(); });
  ConnInfo conninfo = server.conninfo();
  conninfo.set("connect_timeout", "1");
  PollWaiter waiter;
  const Error error =
      catch_error([&] { (void)Connection::open(conninfo, "test", Server::kSource, waiter); });
  EXPECT_EQ(error.sqlstate(), "08001");
  EXPECT_EQ(error.message(), "could not connect to source: timeout expired");
}

TEST(Connection, connect_timeout_that_is_no_number_is_refused) {
  ConnInfo conninfo({{"host", "/nonexistent"}, {"connect_timeout", "soon"}});
  PollWaiter waiter;
  EXPECT_SQLSTATE("08001", Connection::open(conninfo, "test", Server::kSource, waiter));
}

TEST(Connection, waits_that_end_early_do_no_harm) {
  FakeServer server([](FakeBackend &backend) {
    backend.admit();
    backend.answer_row({"1"});
  });
  EagerWaiter waiter;
  Connection connection = Connection::open(server.conninfo(), "test", Server::kSource, waiter);
  EXPECT_EQ(connection.exec("SELECT 1").integer(0, 0), 1);
}

TEST(Connection, interrupt_leaves_a_running_statement) {
  FakeServer server([](FakeBackend &backend) {
    backend.admit();
    backend.await_close();
  });
  int interrupt[2];
  ASSERT_EQ(pipe(interrupt), 0);
  {
    PollWaiter waiter(interrupt[0]);
    Connection connection = Connection::open(server.conninfo(), "test", Server::kSource, waiter);
    ASSERT_EQ(write(interrupt[1], "x", 1), 1);
    EXPECT_SQLSTATE("57014", connection.exec("SELECT pg_sleep(100)"));
  }
  close(interrupt[0]);
  close(interrupt[1]);
}

TEST(Connection, resolved_parameters_hold_the_host_but_no_defaults) {
  FakeServer server([](FakeBackend &backend) {
    backend.admit();
    backend.await_close();
  });
  PollWaiter waiter;
  ConnInfo given = server.conninfo();
  given.set("password", "secret");
  const Connection connection = Connection::open(given, "test", Server::kSource, waiter);
  const ConnInfo resolved = connection.resolved();
  EXPECT_EQ(resolved.get("host"), given.get("host"));
  EXPECT_EQ(resolved.get("password"), "secret");
  EXPECT_EQ(resolved.get("fallback_application_name"), "");
  EXPECT_NO_THROW(resolved.require_options_allowed_to_users(ServerFiles::kMayNotRead));
}

} // namespace
} // namespace parallel_loader
