// fake_server: a thread that speaks the server's side of the protocol, as badly as a test wants.
#pragma once

#include "core/connection/conninfo.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace parallel_loader::testing {

/// The server's side of one session.  Message formats: PostgreSQL manual, "Message Formats".
class FakeBackend {
public:
  explicit FakeBackend(int fd) : fd_(fd) {}

  /// Reads the startup packet and lets the client in.
  void admit(std::string_view server_version = "15.20");
  /// Reads messages up to Sync; returns the text of the statement.
  std::string read_statement();
  /// Reads a statement and answers it as a command with this tag.
  std::string answer_command(std::string_view tag);
  /// Reads a statement and answers it with one row of text.
  std::string answer_row(const std::vector<std::string> &values);
  /// Reads a statement and begins to send COPY data.
  std::string answer_copy();

  /// The answer alone, once the statement was read.
  void send_row(const std::vector<std::string> &values);

  void send(char type, std::string_view body);
  void send_raw(std::string_view bytes);
  void send_error(std::string_view severity, std::string_view sqlstate, std::string_view message,
                  const std::vector<std::pair<char, std::string>> &more = {});
  void send_copy_data(std::string_view row) { send('d', row); }
  void end_copy(std::string_view tag);
  void send_ready() { send('Z', "I"); }
  /// Blocks until the client has gone.
  void await_close();

private:
  std::string read_bytes(size_t size);

  int fd_;
};

/// Listens on a unix socket in a directory of its own and runs `script` for the first client; when
/// the script returns, the session is closed.
class FakeServer {
public:
  explicit FakeServer(std::function<void(FakeBackend &)> script);
  FakeServer(const FakeServer &) = delete;
  FakeServer &operator=(const FakeServer &) = delete;
  ~FakeServer();

  [[nodiscard]] ConnInfo conninfo() const;

private:
  std::string directory_;
  std::string path_;
  int listener_ = -1;
  std::thread thread_;
};

/// Big-endian integers as the protocol writes them.
std::string int16_bytes(unsigned value);
std::string int32_bytes(unsigned value);

} // namespace parallel_loader::testing
