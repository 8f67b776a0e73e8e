// hostile_source_test: what a source can send at most before a session ends.
#include "core/connection/connection.hpp"

#include "core/connection/answer.hpp"
#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_session.hpp"

#include <utility>

#include <malloc.h>

namespace parallel_loader {
namespace {

using namespace testing;

// A message that asks for a row of one column, or is one.
std::string description_of(size_t columns) {
  std::string body = int16_bytes(static_cast<unsigned>(columns));
  for (size_t i = 0; i < columns; ++i)
    body += std::string("c\0", 2) + int32_bytes(0) + int16_bytes(0) + int32_bytes(25) +
            int16_bytes(0xFFFF) + int32_bytes(0xFFFFFFFF) + int16_bytes(0);
  return body;
}

std::string data_row(std::string_view value) {
  return int16_bytes(1) + int32_bytes(static_cast<unsigned>(value.size())) + std::string(value);
}

void begin_rows(FakeBackend &backend, size_t columns = 1) {
  backend.read_statement();
  backend.send_raw(std::string_view{"1\0\0\0\4"
                                    "2\0\0\0\4",
                                    10});
  backend.send('T', description_of(columns));
}

void end_rows(FakeBackend &backend) {
  backend.send('C', std::string_view{"SELECT 1\0", 9});
  backend.send_ready();
}

void send_notification(FakeBackend &backend) {
  backend.send('A', int32_bytes(1) + std::string("channel\0", 8) + std::string(8000, 'x') + '\0');
}

void send_parameter(FakeBackend &backend, int number) {
  backend.send('S', "name" + std::to_string(number) + '\0' + std::string(8000, 'x') + '\0');
}

bool refuse_nothing(std::string_view) noexcept {
  return true;
}
bool refuse_high_bytes(std::string_view text) noexcept {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80)
      return false;
  return true;
}

/// A session whose server never ends by itself.
class HostileSession : public FakeSession {
public:
  explicit HostileSession(std::function<void(FakeBackend &)> script, Server side = Server::kSource)
      : FakeSession(
            [script = std::move(script)](FakeBackend &fake) {
              script(fake);
              fake.await_close();
            },
            side) {}
};

TEST(HostileSource, answer_without_end_is_cut_off) {
  HostileSession session([](FakeBackend &backend) {
    begin_rows(backend);
    for (;;)
      backend.send('D', data_row(std::string(1000, 'x')));
  });
  EXPECT_SQLSTATE("54000", session.connection.exec("SELECT"));
  EXPECT_SQLSTATE("08006", session.connection.exec("SELECT"));
}

TEST(HostileSource, answer_of_many_nulls_is_cut_off_by_what_it_takes_here) {
  HostileSession session([](FakeBackend &backend) {
    begin_rows(backend, 100);
    std::string row = int16_bytes(100);
    for (int i = 0; i < 100; ++i)
      row += int32_bytes(0xFFFFFFFF);
    for (;;)
      backend.send('D', row);
  });
  EXPECT_SQLSTATE("54000", session.connection.exec("SELECT"));
}

TEST(HostileSource, large_answer_is_read_whole) {
  constexpr size_t kRows = 40000; // of 1000 bytes
  HostileSession session([](FakeBackend &backend) {
    begin_rows(backend);
    for (size_t i = 0; i < kRows; ++i)
      backend.send('D', data_row(std::string(1000, 'x')));
    end_rows(backend);
  });
  EXPECT_EQ(session.connection.exec("SELECT").size(), kRows);
}

// Each chunk asks for them anew.
TEST(HostileSource, descriptions_of_wide_tables_do_not_add_up) {
  constexpr int kRounds = 600;
  constexpr size_t kColumns = 1600;
  HostileSession session([](FakeBackend &backend) {
    std::string body = int16_bytes(kColumns);
    for (size_t i = 0; i < kColumns; ++i)
      body += std::string(60, 'c') + '\0' + int32_bytes(0) + int16_bytes(0) + int32_bytes(25) +
              int16_bytes(0xFFFF) + int32_bytes(0xFFFFFFFF) + int16_bytes(0);
    for (int round = 0; round < kRounds; ++round) {
      backend.read_statement();
      backend.send('1', {});
      backend.send_ready();
      backend.read_statement();
      backend.send('t', int16_bytes(0));
      backend.send('T', body);
      backend.send_ready();
    }
  });
  for (int round = 0; round < kRounds; ++round)
    ASSERT_EQ(session.connection.describe("SELECT").size(), kColumns);
}

TEST(HostileSource, message_of_an_answer_is_bounded) {
  HostileSession session([](FakeBackend &backend) {
    begin_rows(backend);
    backend.send('D', data_row(std::string(200 << 20, 'x')));
  });
  EXPECT_SQLSTATE("54000", session.connection.exec("SELECT"));
}

TEST(HostileSource, results_without_end_are_cut_off) {
  HostileSession session([](FakeBackend &backend) {
    backend.read_statement();
    for (;;)
      backend.send('C', std::string_view{"SELECT 1\0", 9});
  });
  EXPECT_SQLSTATE("08P01", session.connection.exec("SELECT"));
}

TEST(HostileSource, notices_and_notifications_without_end_end_a_statement) {
  for (const char type : {'N', 'A', 'S'}) {
    HostileSession session([type](FakeBackend &backend) {
      backend.read_statement();
      for (int number = 0;; ++number)
        if (type == 'A')
          send_notification(backend);
        else if (type == 'S')
          send_parameter(backend, number);
        else
          backend.send('N', "SNOTICE" + std::string(1, '\0') + "M" + std::string(8000, 'x') +
                                std::string(2, '\0'));
    });
    EXPECT_SQLSTATE("54000", session.connection.exec("SELECT")) << type;
  }
}

TEST(HostileSource, notifications_between_answers_are_not_kept) {
  constexpr int kRounds = 20;
  HostileSession session([](FakeBackend &backend) {
    for (int round = 0; round < kRounds; ++round) {
      for (int i = 0; i < 100; ++i) // 800 kB
        send_notification(backend);
      backend.answer_row({"1"});
    }
  });
  const auto in_use = [] { return mallinfo2().uordblks; };
  EXPECT_EQ(session.connection.exec("SELECT 1").integer(0, 0), 1);
  const size_t before = in_use();
  for (int round = 1; round < kRounds; ++round)
    EXPECT_EQ(session.connection.exec("SELECT 1").integer(0, 0), 1);
  EXPECT_LT(in_use(), before + (2 << 20));
}

TEST(HostileSource, parameters_between_rows_of_a_copy_end_it) {
  HostileSession session([](FakeBackend &backend) {
    backend.answer_copy();
    for (int number = 0;; ++number) {
      send_parameter(backend, number);
      backend.send_copy_data("1\n");
    }
  });
  session.connection.copy_out("COPY");
  EXPECT_SQLSTATE("54000", [&] {
    while (!session.connection.copy_row().empty()) {
    }
  }());
}

TEST(HostileSource, idle_session_drops_what_comes_and_ends_when_it_is_too_much) {
  HostileSession session([](FakeBackend &backend) {
    for (;;)
      send_notification(backend);
  });
  EXPECT_SQLSTATE("54000", [&] {
    for (;;)
      session.connection.require_open();
  }());
}

TEST(HostileSource, copy_of_another_kind_is_none) {
  for (const char type : {'G', 'W'}) {
    HostileSession session([type](FakeBackend &backend) {
      backend.read_statement();
      backend.send_raw(std::string_view{"1\0\0\0\4"
                                        "2\0\0\0\4",
                                        10});
      backend.send(type, std::string(1, '\0') + int16_bytes(0));
    });
    EXPECT_SQLSTATE("08P01", session.connection.copy_out("COPY")) << type;
  }
}

TEST(HostileSource, tag_that_is_not_that_of_a_copy_ends_none) {
  for (const std::string tag :
       {"SELECT 1", "COPY", "COPY x", "COPY -1", "COPY 1 1", "", "COPY 99999999999999999999999"}) {
    HostileSession session([tag](FakeBackend &backend) {
      backend.answer_copy();
      backend.send_copy_data("1\n");
      backend.end_copy(tag);
    });
    session.connection.copy_out("COPY");
    EXPECT_FALSE(session.connection.copy_row().empty());
    EXPECT_TRUE(session.connection.copy_row().empty());
    EXPECT_SQLSTATE("08P01", session.connection.copy_end()) << tag;
  }
}

TEST(HostileSource, code_that_is_none_of_an_error_is_a_breach_of_protocol) {
  for (const std::string code :
       {"00000", "01000", "02000", "", "1", "abcde", "????\x01", "123456"}) {
    HostileSession session([code](FakeBackend &backend) {
      backend.read_statement();
      backend.send_error("ERROR", code, "odd");
      backend.send_ready();
    });
    EXPECT_SQLSTATE("08P01", session.connection.exec("SELECT")) << code;
  }
}

TEST(HostileSource, long_error_is_cut) {
  HostileSession session([](FakeBackend &backend) {
    backend.read_statement();
    const std::string long_text(2 << 20, 'x');
    backend.send_error("ERROR", "22012", long_text, {{'D', long_text}, {'H', long_text}});
    backend.send_ready();
  });
  const Error error = catch_error([&] { session.connection.exec("SELECT"); });
  EXPECT_EQ(error.sqlstate(), "22012");
  EXPECT_LT(error.message().size() + error.detail().size() + error.hint().size(), 30000U);
}

TEST(HostileSource, value_that_is_no_text_is_refused_and_the_session_goes_on) {
  HostileSession session([](FakeBackend &backend) {
    backend.answer_row({"ok", std::string("a\0b", 3)});
    backend.answer_row({"ok", "\xff"});
    backend.answer_row({"ok"});
  });
  session.connection.check_text(refuse_nothing);
  EXPECT_SQLSTATE("22021", session.connection.exec("SELECT"));
  session.connection.check_text(refuse_high_bytes);
  EXPECT_SQLSTATE("22021", session.connection.exec("SELECT"));
  EXPECT_EQ(session.connection.exec("SELECT").text(0, 0), "ok");
}

TEST(HostileSource, rows_of_another_kind_in_one_answer_are_refused) {
  HostileSession session([](FakeBackend &backend) {
    begin_rows(backend);
    backend.send('D', data_row("x"));
    backend.send('C', std::string_view{"SELECT 1\0", 9});
    backend.send('T', description_of(2));
    backend.send('D', int16_bytes(2) + int32_bytes(0xFFFFFFFF) + int32_bytes(0xFFFFFFFF));
    end_rows(backend);
  });
  EXPECT_SQLSTATE("08P01", session.connection.exec("SELECT"));
}

} // namespace
} // namespace parallel_loader
