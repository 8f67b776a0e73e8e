#include "core/connection/intake.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <string>

#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#ifdef __linux__
#include <linux/tcp.h>
#endif

namespace parallel_loader {
namespace {

constexpr uint64_t kStatementBytes = 4096; // its answers beside the rows
constexpr uint64_t kColumnBytes = 128;     // its description, with a name
constexpr uint64_t kRowBytes = 16;         // header of a row's message, and more
constexpr uint64_t kMessageBytes = 5;      // header of a message
constexpr uint64_t kRecordBytes = 64;      // of encryption for a message, beside its size

uint64_t waiting_bytes(int fd) noexcept {
  int count = 0;
  return ioctl(fd, FIONREAD, &count) == 0 && count > 0 ? static_cast<uint64_t>(count) : 0;
}

// What the kernel has received over a TCP connection; 0 when it does not say.
uint64_t received_bytes([[maybe_unused]] int fd) noexcept {
#ifdef __linux__
  tcp_info info{};
  socklen_t size = sizeof(info);
  constexpr size_t kNeeded = offsetof(tcp_info, tcpi_bytes_received) + sizeof(uint64_t);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && size >= kNeeded)
    return info.tcpi_bytes_received;
#endif
  return 0;
}

[[noreturn]] void throw_too_much(const char *what, uint64_t most_bytes) {
  throw Error(sqlstate::kProgramLimitExceeded,
              std::string("source sends ") + what + " of more than " +
                  std::to_string(most_bytes >> 20) + " MB",
              "A PostgreSQL server does not do so by itself.",
              "Check what answers at the source's address.");
}

} // namespace

void Intake::before(int fd) noexcept {
  waiting_ = waiting_bytes(fd);
}

// Bytes that arrive during the reading hide as many that were taken. For TCP the kernel counts,
// too.
void Intake::after(int fd) noexcept {
  const uint64_t waiting = waiting_bytes(fd);
  if (const uint64_t received = received_bytes(fd); received >= total_ + waiting)
    total_ = received - waiting;
  else if (waiting_ > waiting)
    total_ += waiting_ - waiting;
}

void Intake::begin_statement() noexcept {
  row_mark_ = total_;
  row_bytes_ += kStatementBytes;
}

void Intake::add(size_t bytes, size_t column_count) noexcept {
  row_mark_ = total_;
  row_bytes_ += bytes + kRowBytes + column_count * kColumnBytes;
  largest_ = std::max<uint64_t>(largest_, bytes);
}

void Intake::add_copy_row(size_t bytes, bool is_encrypted) noexcept {
  row_mark_ = total_;
  row_bytes_ += bytes + kMessageBytes + (is_encrypted ? bytes + kRecordBytes : 0);
  largest_ = std::max<uint64_t>(largest_, bytes);
}

void Intake::require_message_size() const {
  if (since_row() > kMostMessageBytes)
    throw_too_much("a message", kMostMessageBytes);
}

void Intake::require_copy_row_size() const {
  if (since_row() > kMostCopyRowBytes)
    throw_too_much("a row", kMostCopyRowBytes);
}

void Intake::require_few_others() const {
  if (total_ > row_bytes_ + 2 * largest_ + kMostOtherBytes)
    throw_too_much("notices and parameters", kMostOtherBytes);
}

} // namespace parallel_loader
