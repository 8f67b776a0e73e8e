#include "tests/unit/fake_server.hpp"

#include <cstdlib>
#include <stdexcept>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace parallel_loader::testing {
namespace {

unsigned to_uint32(std::string_view bytes) {
  unsigned value = 0;
  for (size_t i = 0; i < 4; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string cstring(std::string_view text) {
  return std::string(text) + '\0';
}

std::string parameter(std::string_view name, std::string_view value) {
  return cstring(name) + cstring(value);
}

constexpr std::string_view kParseAndBindComplete{"1\0\0\0\4"
                                                 "2\0\0\0\4",
                                                 10};

} // namespace

std::string int16_bytes(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string int32_bytes(unsigned value) {
  return int16_bytes(value >> 16) + int16_bytes(value);
}

std::string FakeBackend::read_bytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t at = 0; at < size;) {
    const ssize_t got = recv(fd_, bytes.data() + at, size - at, 0);
    if (got <= 0)
      throw std::runtime_error("client has gone");
    at += static_cast<size_t>(got);
  }
  return bytes;
}

void FakeBackend::send_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0)
      throw std::runtime_error("client has gone");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void FakeBackend::send(char type, std::string_view body) {
  send_raw(type + int32_bytes(static_cast<unsigned>(body.size()) + 4) + std::string(body));
}

void FakeBackend::admit(std::string_view server_version) {
  read_bytes(to_uint32(read_bytes(4)) - 4);
  send('R', int32_bytes(0));
  send('S', parameter("server_version", server_version));
  send('S', parameter("client_encoding", "UTF8"));
  send('S', parameter("standard_conforming_strings", "on"));
  send('K', int32_bytes(4711) + int32_bytes(1));
  send_ready();
}

std::string FakeBackend::read_statement() {
  std::string statement;
  for (;;) {
    const char type = read_bytes(1)[0];
    const std::string body = read_bytes(to_uint32(read_bytes(4)) - 4);
    if (type == 'P') // an empty statement name, then the statement
      statement = body.substr(1, body.find('\0', 1) - 1);
    if (type == 'S')
      return statement;
  }
}

std::string FakeBackend::answer_command(std::string_view tag) {
  std::string statement = read_statement();
  send_raw(kParseAndBindComplete);
  send('n', {});
  send('C', cstring(tag));
  send_ready();
  return statement;
}

std::string FakeBackend::answer_row(const std::vector<std::string> &values) {
  std::string statement = read_statement();
  send_row(values);
  return statement;
}

void FakeBackend::send_row(const std::vector<std::string> &values) {
  send_raw(kParseAndBindComplete);
  std::string description = int16_bytes(static_cast<unsigned>(values.size()));
  std::string row = description;
  for (const std::string &value : values) {
    description += cstring("c") + int32_bytes(0) + int16_bytes(0) + int32_bytes(25) +
                   int16_bytes(0xFFFF) + int32_bytes(0xFFFFFFFF) + int16_bytes(0);
    row += int32_bytes(static_cast<unsigned>(value.size())) + value;
  }
  send('T', description);
  send('D', row);
  send('C', cstring("SELECT 1"));
  send_ready();
}

std::string FakeBackend::answer_copy() {
  std::string statement = read_statement();
  send_raw(kParseAndBindComplete);
  send('n', {});
  send('H', std::string(1, '\0') + int16_bytes(0));
  return statement;
}

void FakeBackend::end_copy(std::string_view tag) {
  send('c', {});
  send('C', cstring(tag));
  send_ready();
}

void FakeBackend::send_error(std::string_view severity, std::string_view sqlstate,
                             std::string_view message,
                             const std::vector<std::pair<char, std::string>> &more) {
  std::string body = "S" + cstring(severity) + "V" + cstring(severity) + "C" + cstring(sqlstate) +
                     "M" + cstring(message);
  for (const auto &[code, text] : more)
    body += code + cstring(text);
  send('E', body + '\0');
}

void FakeBackend::await_close() {
  char byte = 0;
  while (recv(fd_, &byte, 1, 0) > 0) {
  }
}

FakeServer::FakeServer(std::function<void(FakeBackend &)> script) {
  char name[] = "/tmp/parallel-loader-unit-XXXXXX";
  if (mkdtemp(name) == nullptr)
    throw std::runtime_error("mkdtemp failed");
  directory_ = name;
  path_ = directory_ + "/.s.PGSQL.5432";

  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
  if (listener_ < 0 ||
      bind(listener_, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0 ||
      listen(listener_, 1) != 0)
    throw std::runtime_error("could not listen");

  thread_ = std::thread([listener = listener_, script = std::move(script)] {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0)
      return;
    try {
      FakeBackend backend(fd);
      script(backend);
    } catch (const std::runtime_error &) {
      // The client left early; what it made of that is the test's to say.
    }
    close(fd);
  });
}

FakeServer::~FakeServer() {
  shutdown(listener_, SHUT_RDWR); // ends an accept that nobody answered
  thread_.join();
  close(listener_);
  unlink(path_.c_str());
  rmdir(directory_.c_str());
}

ConnInfo FakeServer::conninfo() const {
  return ConnInfo({{"host", directory_}, {"port", "5432"}, {"user", "u"}, {"dbname", "d"}});
}

} // namespace parallel_loader::testing
